"""Write the hash of its fields into every card that comes with femnn; the files of the cards stay as they are.

Run it after a card was edited by hand, which is refused at reading until then: ``python docs/tools/seal_cards.py``.
"""

import json
from pathlib import Path

from femnn.io.guarded import CARD_HASH, sealed
from femnn.io.locations import PACKAGE


def seal(card: Path) -> bool:
    """Give a card the hash that belongs to it; True if it had another one, or none."""
    text = card.read_text(encoding="utf-8")
    fields = json.loads(text)
    complete = sealed(fields)
    if fields.get(CARD_HASH) == complete[CARD_HASH]:
        return False
    # as long as the first line that is indented: the rest of the card stays as it was, to the byte
    indent = len(text.splitlines()[1]) - len(text.splitlines()[1].lstrip())
    card.write_text(json.dumps(complete, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    return True


if __name__ == "__main__":
    for card in sorted((PACKAGE / "data").rglob("*.json")):
        if seal(card):
            print(f"sealed {card.relative_to(PACKAGE)}")

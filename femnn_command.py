"""Entry of the command ``femnn``: outside the package, so that Ctrl-C is answered while that is imported, too."""

import atexit
import os
import signal
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
MESSAGE = "interrupted; what is done is kept, run the same command again to go on"


def leave(number: int = signal.SIGINT, frame: FrameType | None = None) -> NoReturn:
    """End at once where nothing has begun yet or all is done; an exception might get lost in what is being imported."""
    os.write(2, f"femnn: {MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


@atexit.register
def ignore_interrupts() -> None:
    """Ignore Ctrl-C from now on: while Python ends it has no handlers, and a command that is done would be killed."""
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_DFL, signal.SIG_IGN, None):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """Run the command ``femnn``."""
    # where Ctrl-C is ignored, in a shell's background jobs, it stays so
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    from femnn.cli import main as command

    command()


if __name__ == "__main__":
    main()

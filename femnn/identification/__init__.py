"""From data to the law: motions and films of them, how many numbers they take, which equation and which parameters."""

__all__: list[str] = []

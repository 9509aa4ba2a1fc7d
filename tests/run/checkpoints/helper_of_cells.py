"""A module that remembers, for cells to import."""

HELD: list[int] = []
_calls = 0


def count() -> int:
    """How often this was called."""
    global _calls
    _calls += 1
    return _calls

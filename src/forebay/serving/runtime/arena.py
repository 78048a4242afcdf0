"""When ONNX Runtime's arena should give back what a large batch took."""

from __future__ import annotations

_SMALL_BYTES = 128 << 10
_FAR = 4.0
_FOLLOW = 0.1


class Arena:
    """Remembers how large batches are, by the bytes of their inputs, since it was last emptied.

    The arena keeps the most that any batch ever took: one batch of 20,000 rows leaves hundreds of megabytes
    behind. Emptying it after every batch costs small ones a fifth of their time, so it is emptied
    after those that were far larger than is usual.

    >>> arena = Arena()
    >>> [arena.to_empty(kilobytes << 10) for kilobytes in (1, 5000, 1, 5000, 5000, 5000)]
    [False, True, False, True, False, False]
    >>> [arena.to_empty(1 << 10) for _ in range(30)].count(True)  # large ones have become rare
    1
    """

    __slots__ = ("_most", "_usual")

    def __init__(self) -> None:
        self._usual = 0.0
        self._most = 0

    def to_empty(self, size_bytes: int) -> bool:
        """Whether the arena is to be emptied after a batch of *size_bytes*, which is about to run."""
        if size_bytes < _SMALL_BYTES > self._most:
            return False  # the way of nearly all batches of small models: short
        self._usual += _FOLLOW * (size_bytes - self._usual)
        self._most = max(self._most, size_bytes)
        if self._most < _FAR * self._usual:
            return False
        self._most = 0
        return True

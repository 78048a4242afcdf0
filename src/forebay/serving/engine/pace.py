"""How many rows go together, and whether company is worth waiting for: learnt from what batches cost.

The cost of a row is kept for each size class (1, 2, 4, 8 … rows). Small models get cheaper by the row
the more rows go together, some get dearer: the size with the least cost a row wins. It knows no clock.
"""

from __future__ import annotations

from collections.abc import Sequence

_CLASSES = 24
_NEVER = float("inf")
_HOP_S = 50e-6
"""What a batch costs beside the model: a thread woken, arrays joined, a journal written."""
_MUCH_DEARER = 1.1
_HARDLY_DEARER = 1.03
_TRIES = 3  # the first run of a new size is dearer: arenas grow
_LOOK_AROUND = 64
_THINK_AGAIN = 16
_AROUND = (1, -1, 2)
_FASTER, _SLOWER = 0.5, 0.05  # near the least of what is measured: a neighbour on the core is not the model
_GAP_SHARE = 0.2
_CROWD_SHARE = 0.25
_PATIENCE = 2.0  # in gaps between arrivals; nobody within two of them means that the crowd has left


class Pace:
    """What is known of one model: what its batches cost, how callers arrive, how many there are.

    All it is told is told once a batch; rows are at least 1, times are in seconds.
    """

    __slots__ = (
        "_around",
        "_batches",
        "_behind",
        "_best_of",
        "_crowd",
        "_ended_s",
        "_gap_s",
        "_judged",
        "_return_s",
        "_row_s",
        "_tries",
    )

    def __init__(self, first_s: float) -> None:
        """*first_s* is a first guess at the cost of a single row."""
        self._row_s = [first_s] + [0.0] * _CLASSES
        self._tries = [0] * (_CLASSES + 1)
        self._judged = 0
        self._best_of: dict[int, int] = {}
        self._batches = 0
        self._around = 0
        self._crowd = 1.0
        self._gap_s = _NEVER
        self._return_s = _NEVER
        self._ended_s = -_NEVER
        self._behind = -1

    def spent(self, rows: int, cost_s: float, waiting: int) -> None:
        """A batch of *rows* took *cost_s*, and *waiting* rows stand in the queue now."""
        found, size = cost_s / rows, 0 if rows == 1 else _nearest(rows)
        if self._tries[size] < _TRIES:
            self._try(size, found)
        else:
            known = self._row_s[size]
            self._row_s[size] = known + (_FASTER if found < known else _SLOWER) * (found - known)
        crowd = rows + waiting
        change = crowd - self._crowd
        self._crowd += change if change > 0 else _CROWD_SHARE * change
        self._batches += 1
        if self._batches >= _THINK_AGAIN:
            self._batches = 0
            self._best_of.clear()

    def _try(self, size: int, found: float) -> None:
        tries = self._tries[size] = self._tries[size] + 1
        self._row_s[size] = found if tries == 1 else min(found, self._row_s[size])
        self._best_of.clear()
        if tries == _TRIES:
            self._judged = max(self._judged, size)

    def ended(self, behind: int, now_s: float) -> None:
        """A batch is answered, with *behind* requests in the queue: its callers may come back now."""
        if self._behind < 0:
            self._behind, self._ended_s = behind, now_s

    def leave(self, since_s: Sequence[float], others: int) -> None:
        """A batch of requests leaves that came at *since_s*; *others* rows are not of the first of them."""
        behind = self._behind
        if behind >= 0:
            self._behind = behind - len(since_s)
            if self._behind < 0:
                self._return_s = _moved(self._return_s, since_s[behind] - self._ended_s)
        if others:
            self._gap_s = _moved(self._gap_s, (since_s[-1] - since_s[0]) / others)

    def cost_s(self, rows: int) -> float:
        """What a batch of *rows* is going to take."""
        if rows == 1:
            return self._row_s[0]
        size = rows.bit_length() - 1
        low = 1 << size
        low_s = self._row_cost_s(size) * low
        if low == rows:
            return low_s
        return low_s + (self._row_cost_s(size + 1) * 2 * low - low_s) * (rows - low) / low

    def row_s(self, room: int) -> float:
        """What a row is going to take while *room* rows or more wait."""
        best = self._best(room)
        return self.cost_s(best) / best

    def knows(self, room: int, rows: int) -> bool:
        """Whether `row_s` has been measured for *room* rows that come *rows* at a time, and is no guess."""
        last = self._judged
        return self._tries[last] >= _TRIES and rows <= 2 << last and not self._untried(room)

    def size(self, waiting: int, most: int) -> int:
        """How many of the *waiting* rows go next, at most *most*; now and then it tries another size."""
        room = min(waiting, most)
        if room < 2:
            return 1
        untried = self._untried(room)
        if untried:
            return untried
        best = self._best(room)
        self._around += 1
        if self._around % _LOOK_AROUND:
            return best
        size = _nearest(best) + _AROUND[self._around // _LOOK_AROUND % len(_AROUND)]
        return 1 << size if size >= 0 and 1 << size <= room else best

    def hope_s(self, rows: int, most: int, waiting: int, now_s: float) -> float:
        """How long *waiting* requests of *rows* should wait for the next caller: 0.0 if it does not pay.

        Going now, they are done after C(rows), and who comes meanwhile after C(rows) and a batch of
        their own. Waiting pays when what all callers save by one batch exceeds what these lose.
        """
        coming = min(int(self._crowd + 0.5), most) - rows
        if coming < 1:
            return 0.0
        alone_s, gap_s = self.cost_s(rows), self._gap_s
        next_s = gap_s if waiting > self._behind else max(gap_s, self._ended_s + self._return_s - now_s)
        if next_s >= alone_s or self._is_idle(now_s):
            return 0.0
        coming = min(coming, self._best(rows + coming) - rows)
        more = 1
        while coming > 0:
            more = min(more, coming)
            later_s = next_s + (more - 1) * gap_s + self.cost_s(rows + more)
            if more * (alone_s + self.cost_s(more) - later_s) > rows * (later_s - alone_s):
                return _PATIENCE * next_s
            if more == coming:
                break
            more *= 2
        return 0.0

    def _is_idle(self, now_s: float) -> bool:
        """Whether the crowd had time enough to come back, and did not."""
        return now_s - self._ended_s > _PATIENCE * (self._return_s + self._crowd * self._gap_s)

    def _row_cost_s(self, size: int) -> float:
        """The cost of a row in a batch of that class; of the nearest smaller class that was measured."""
        tries = self._tries
        while size and not tries[size]:
            size -= 1
        return self._row_s[size]

    def _untried(self, room: int) -> int:
        """A size that is not known well, one step above those that are; 0 where it would not help."""
        last = self._judged
        size = min(2 << last, room)
        if _nearest(size) <= last:
            return 0
        best_s = min(self._with_hop_s(1 << smaller) for smaller in range(last + 1))
        return size if self._with_hop_s(1 << last) <= _MUCH_DEARER * best_s else 0

    def _best(self, room: int) -> int:
        """The size with the least cost a row among those that fit; the smaller of two that are alike."""
        best = self._best_of.get(room)
        if best is None:
            sizes = [1 << size for size in range(min(room.bit_length(), self._judged + 1))]
            if room > sizes[-1]:
                sizes.append(room)
            costs = [self._with_hop_s(size) for size in sizes]
            enough_s = min(costs) * _HARDLY_DEARER
            best = next(size for size, cost_s in zip(sizes, costs, strict=True) if cost_s <= enough_s)
            self._best_of[room] = best
        return best

    def _with_hop_s(self, rows: int) -> float:
        return (self.cost_s(rows) + _HOP_S) / rows


def _moved(known: float, found: float) -> float:
    return found if known == _NEVER else known + _GAP_SHARE * (found - known)


def _nearest(rows: int) -> int:
    """The class of *rows*: its logarithm to the base 2, rounded.

    >>> [_nearest(rows) for rows in (1, 2, 3, 4, 5, 6, 11, 12)]
    [0, 1, 2, 2, 2, 3, 3, 4]
    """
    return min(((2 * rows * rows).bit_length() - 1) // 2, _CLASSES)

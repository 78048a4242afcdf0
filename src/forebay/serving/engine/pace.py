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
_WORTH_A_WAIT_S = 2 * _HOP_S
_MUCH_DEARER = 1.1
_HARDLY_DEARER = 1.03
_CLEARLY = 1.05
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
        "_queued",
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
        self._queued = 0

    def spent(self, rows: int, cost_s: float, waiting: int) -> None:
        """A batch of *rows* took *cost_s*, and *waiting* rows stand in the queue now."""
        size = 0 if rows == 1 else _nearest(rows)
        known, expected_s = self._class_cost_s(size) / (1 << size), self.cost_s(rows)
        found = known * cost_s / expected_s if expected_s else cost_s / rows
        if self._tries[size] < _TRIES:
            self._try(size, found)
        else:
            self._row_s[size] = known + (_FASTER if found < known else _SLOWER) * (found - known)
        crowd = rows + waiting
        change = crowd - self._crowd
        self._crowd += change if change > 0 else _CROWD_SHARE * change
        self._queued = waiting
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
        before = max(self._behind, 0)
        if self._behind >= 0:
            self._behind -= len(since_s)
            if self._behind < 0:
                self._return_s = _moved(self._return_s, since_s[before] - self._ended_s)
        came = len(since_s) - 1 - before  # after the first of those whom no batch held up
        if others and came > 0:
            gap_s = (since_s[-1] - since_s[before]) / came
            self._gap_s = _moved(self._gap_s, gap_s * (len(since_s) - 1) / others)

    def cost_s(self, rows: int) -> float:
        """What a batch of *rows* is going to take."""
        if rows == 1:
            return self._row_s[0]
        size = rows.bit_length() - 1
        low = 1 << size
        low_s = self._class_cost_s(size)
        if low == rows:
            return low_s
        return low_s + (self._class_cost_s(size + 1) - low_s) * (rows - low) / low

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
        their own. Waiting pays when what all callers save by one batch exceeds what these lose, or,
        while the model is never free, when it answers more rows a second.
        """
        coming = min(int(self._crowd + 0.5), most) - rows
        alone_s, gap_s = self.cost_s(rows), self._gap_s
        if coming < 1 or alone_s < _WORTH_A_WAIT_S:
            return 0.0
        next_s = gap_s if waiting > self._behind else max(gap_s, self._ended_s + self._return_s - now_s)
        if next_s >= alone_s or self._is_idle(now_s):
            return 0.0
        coming = min(coming, self._best(rows + coming) - rows)
        if self._queued and self._is_better_whole(rows + coming):
            return _PATIENCE * next_s
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

    def _is_better_whole(self, crowd: int) -> bool:
        """Whether a crowd that comes back and goes together is answered sooner than its halves in turn."""
        half = crowd // 2
        whole_s = self._return_s + (crowd - 1) * self._gap_s + self.cost_s(crowd)
        return half > 0 and crowd * self.cost_s(half) > _CLEARLY * half * whole_s

    def _is_idle(self, now_s: float) -> bool:
        """Whether the crowd had time enough to come back, and did not."""
        return now_s - self._ended_s > _PATIENCE * (self._return_s + self._crowd * self._gap_s)

    def _class_cost_s(self, size: int) -> float:
        """The cost of a batch of that class; of one never measured, along the line of the two below it."""
        tries, row_s, known = self._tries, self._row_s, size
        while known and not tries[known]:
            known -= 1
        known_s = row_s[known] * (1 << known)
        if known == size:
            return known_s
        below = known - 1
        while below > 0 and not tries[below]:
            below -= 1
        more = (1 << size) - (1 << known)
        if below < 0:
            return known_s + row_s[0] * more
        rise_s = known_s - row_s[below] * (1 << below)
        return known_s + max(rise_s, 0.0) * more / ((1 << known) - (1 << below))

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

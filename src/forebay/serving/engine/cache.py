"""Answers that are kept, by the digest of what was asked; and callers who ask the same at once share one.

A cache belongs to the lane of one version and leaves with it. It keeps all outputs of a request, so it
does not matter which of them, by which protocol, somebody wants. Errors are never kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import ForebayError, Late

_ENTRY_BYTES = 600
_ITEM_BYTES = 64


class Outcome(msgspec.Struct, gc=False, eq=False):
    """What became of a request: its outputs or an error, and where the time went.

    `cache` is "" where nothing is kept, or how the cache was used: `hit`, `stored`, `passed` (computed,
    but too large to keep) or `shared` (somebody else's question, asked at the same time, was answered).
    """

    outputs: Tensors
    error: ForebayError | None
    rows: int
    queue_ns: int
    compute_ns: int
    cache: str = ""

    @property
    def cached(self) -> bool:
        """Whether nothing was computed for it."""
        return self.cache in ("hit", "shared")


class Kept(NamedTuple):
    """One answer, and how much memory it takes."""

    outputs: Tensors
    rows: int
    size_bytes: int


class Answers:
    """Answers by digest, at most *limit_bytes* of them: the longest unused makes room. Knows no clock."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.size_bytes = 0
        self._kept: dict[bytes, Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, digest: bytes) -> Kept | None:
        """The answer, which is the last to be forgotten now."""
        kept = self._kept.pop(digest, None)
        if kept is not None:
            self._kept[digest] = kept
        return kept

    def put(self, digest: bytes, outputs: Tensors, rows: int) -> bool:
        """Keep an answer; False when it is larger than the whole cache may be."""
        size_bytes = _ENTRY_BYTES + sum(map(_size_bytes, outputs.values()))
        if size_bytes > self._limit_bytes:
            return False
        self.forget(digest)
        self._shrink(self._limit_bytes - size_bytes)
        own = {name: _own(array) for name, array in outputs.items()}
        self._kept[digest] = Kept(own, rows, size_bytes)
        self.size_bytes += size_bytes
        return True

    def resize(self, limit_bytes: int) -> None:
        """From now on at most *limit_bytes*."""
        self._limit_bytes = limit_bytes
        self._shrink(limit_bytes)

    def _shrink(self, to_bytes: int) -> None:
        while self.size_bytes > to_bytes:
            self.forget(next(iter(self._kept)))

    def forget(self, digest: bytes) -> None:
        """Keep this answer no more; harmless when it is not kept."""
        kept = self._kept.pop(digest, None)
        if kept is not None:
            self.size_bytes -= kept.size_bytes


class Computes(Protocol):
    """The lane behind a cache, as far as the cache needs it."""

    def submit(self, inputs: Tensors, done: Callable[[Outcome], None], deadline_s: float) -> Any:
        """See `Lane.submit`."""

    def withdraw(self, ticket: Any) -> None:
        """See `Lane.withdraw`."""

    def prolong(self, ticket: Any, deadline_s: float) -> None:
        """See `Lane.prolong`."""


class Cache:
    """Answers of one lane, and the questions under way. Use it from the lane's event loop only."""

    def __init__(self, lane: Computes, limit_bytes: int) -> None:
        self.answers = Answers(limit_bytes)
        self.used: Counter[str] = Counter()
        self._lane = lane
        self._flights: dict[bytes, _Flight] = {}

    def ask(
        self, inputs: Tensors, done: Callable[[Outcome], None], deadline_s: float, *, fresh: bool = False
    ) -> Callable[[], None]:
        """As `Lane.submit`, but *done* may hear at once; returns what the caller's leaving has to call.

        A *fresh* answer is computed now, and takes the place of the one that was kept.
        """
        digest = digest_of(inputs)
        if fresh:
            self.answers.forget(digest)
        kept = self.answers.get(digest)
        if kept is not None:
            self.used["hit"] += 1
            done(Outcome(kept.outputs, None, kept.rows, 0, 0, "hit"))
            return _nothing
        waiter = _Waiter(done, deadline_s)
        flight = self._flights.get(digest)
        if flight is None:
            flight = _Flight(digest, waiter)
            flight.ticket = self._lane.submit(inputs, partial(self._landed, flight), deadline_s)
            self._flights[digest] = flight
        else:
            flight.waiters.append(waiter)
            self._lane.prolong(flight.ticket, deadline_s)
        return partial(self._left, flight, waiter)

    def bypass(
        self, inputs: Tensors, done: Callable[[Outcome], None], deadline_s: float
    ) -> Callable[[], None]:
        """As `ask`, for a caller whose answer is neither looked up nor kept."""
        seat = self._lane.submit(inputs, partial(self._bypassed, done), deadline_s)
        return partial(self._lane.withdraw, seat)

    def _bypassed(self, done: Callable[[Outcome], None], outcome: Outcome) -> None:
        if outcome.error is None:
            outcome.cache = "bypassed"
            self.used["bypassed"] += 1
        done(outcome)

    def _left(self, flight: _Flight, waiter: _Waiter) -> None:
        if waiter in flight.waiters:
            flight.waiters.remove(waiter)
            if not flight.waiters:
                del self._flights[flight.digest]
                self._lane.withdraw(flight.ticket)

    def _landed(self, flight: _Flight, outcome: Outcome) -> None:
        waiters, flight.waiters = flight.waiters, []
        del self._flights[flight.digest]
        flight.ticket = None
        if outcome.error is None:
            kept = self.answers.put(flight.digest, outcome.outputs, outcome.rows)
            outcome.cache = "stored" if kept else "passed"
            self.used[outcome.cache] += 1
        first, *others = waiters
        first.done(outcome)
        now_s = time.monotonic()
        for waiter in others:
            waiter.done(self._share(outcome, waiter, now_s))

    def _share(self, outcome: Outcome, waiter: _Waiter, now_s: float) -> Outcome:
        """What one hears who did not ask first: nothing was computed for them alone."""
        waited_ns = int((now_s - waiter.since_s) * 1e9)
        if outcome.error is not None:
            return Outcome({}, outcome.error, outcome.rows, waited_ns, 0)
        if waiter.deadline_s < now_s:
            late = Late("the deadline passed while the request was waiting")
            return Outcome({}, late, outcome.rows, waited_ns, 0)
        self.used["shared"] += 1
        return Outcome(outcome.outputs, None, outcome.rows, waited_ns, 0, "shared")


class _Waiter:
    __slots__ = ("deadline_s", "done", "since_s")

    def __init__(self, done: Callable[[Outcome], None], deadline_s: float) -> None:
        self.done = done
        self.deadline_s = deadline_s
        self.since_s = time.monotonic()


class _Flight:
    """One question under way, and who waits for it."""

    __slots__ = ("digest", "ticket", "waiters")

    def __init__(self, digest: bytes, first: _Waiter) -> None:
        self.digest = digest
        self.waiters = [first]
        self.ticket: Any = None


def digest_of(inputs: Tensors) -> bytes:
    """SHA-256 of names, datatypes, shapes and values, in the order of the names.

    A text and its UTF-8 bytes are one; -0.0 and 0.0 are two.
    """
    found = sha256()
    for name in sorted(inputs):
        array = inputs[name]
        found.update(f"{len(name)}:{name}{array.dtype.str}{array.shape}".encode())
        if array.dtype.hasobject:
            for item in array.flat:
                raw = item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item
                found.update(len(raw).to_bytes(8, "little"))
                found.update(raw)
        else:
            found.update(np.ascontiguousarray(array).data)
    return found.digest()


def _own(array: Array) -> Array:
    """*array* without the rest of its batch, and for reading only."""
    own = array.copy()
    own.flags.writeable = False
    return own


def _size_bytes(array: Array) -> int:
    if array.dtype.hasobject:
        return array.nbytes + sum(_ITEM_BYTES + len(item) for item in array.flat)
    return array.nbytes


def _nothing() -> None:
    """Who has been answered may leave."""

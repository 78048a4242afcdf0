"""Where callers of an unloaded version wait: to them it looks like the lane that is to come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from forebay.core import Signature, Tensors
from forebay.core.errors import ForebayError, Full, NotReady
from forebay.serving.engine.batcher import BatchLimits
from forebay.serving.engine.cache import Cache, Outcome
from forebay.serving.engine.lane import Lane, Ticket
from forebay.serving.engine.stats import LaneStats


class Waiter(msgspec.Struct, eq=False):
    """One caller; has a ticket of the lane as soon as there is one."""

    inputs: Tensors
    rows: int
    done: Callable[[Outcome], None]
    deadline_s: float
    since_s: float
    timer: asyncio.TimerHandle | None = None
    lane: Lane | None = None
    ticket: Ticket | None = None


class WaitingRoom:
    """Callers of one version, in order of arrival. Use it from one event loop only.

    *came* is told of each who comes, *emptied* when the last one has left without an answer.
    """

    def __init__(
        self,
        signature: Signature,
        limits: BatchLimits,
        stats: LaneStats,
        came: Callable[[], None],
        emptied: Callable[[], None],
    ) -> None:
        self.signature = signature
        self.limits = limits
        self.stats = stats
        self.cache: Cache | None = None
        self.trouble = ""
        self.why = "the model is being loaded"
        self._came = came
        self._emptied = emptied
        self._loop = asyncio.get_running_loop()
        self._waiters: dict[Waiter, None] = {}
        self._rows = 0

    @property
    def waiting(self) -> int:
        """How many callers are here."""
        return len(self._waiters)

    def keep(self, _cache_bytes: int) -> None:
        """A room keeps no answers; the lane that is to come will."""

    def submit(self, inputs: Tensors, done: Callable[[Outcome], None], deadline_s: float) -> Waiter:
        """Wait with *inputs* for the lane; *done* hears the outcome, `NotReady` at *deadline_s*.

        Raises what `Lane.submit` does, and `NotReady` when there is no use in waiting.
        """
        rows = self.signature.check(inputs)
        if self._rows + max(rows, 1) > self.limits.queue_rows:
            raise Full("the model is being loaded and its queue is full; try again", retry_after_s=1.0)
        self._came()
        now_s = time.monotonic()
        waiter = Waiter(inputs, rows, done, deadline_s, now_s)
        if deadline_s < float("inf"):
            waiter.timer = self._loop.call_later(max(0.0, deadline_s - now_s), self._late, waiter)
        self._waiters[waiter] = None
        self._rows += max(rows, 1)
        return waiter

    def withdraw(self, waiter: Waiter) -> None:
        """The caller has left; harmless once there was an answer."""
        if waiter.lane is not None and waiter.ticket is not None:
            waiter.lane.withdraw(waiter.ticket)
        elif waiter in self._waiters:
            self.stats.left += 1
            self._remove(waiter)
            self._look()

    def open(self, lane: Lane) -> None:
        """Let everybody into *lane*, in order of arrival."""
        for waiter in self._all():
            try:
                waiter.ticket = lane.submit(waiter.inputs, _timed(waiter), waiter.deadline_s)
                waiter.lane = lane
            except ForebayError as error:
                self._fail(waiter, error)

    def refuse(self, error: Callable[[], ForebayError]) -> None:
        """Tell everybody."""
        for waiter in self._all():
            self._fail(waiter, error())

    def _all(self) -> list[Waiter]:
        waiters = list(self._waiters)
        for waiter in waiters:
            self._remove(waiter)
        return waiters

    def _late(self, waiter: Waiter) -> None:
        self.stats.expired += 1
        self._remove(waiter)
        self._fail(waiter, NotReady(f"{self.why}; try again a little later", retry_after_s=1.0))
        self._look()

    def _fail(self, waiter: Waiter, error: ForebayError) -> None:
        self.stats.failed += 1
        waited_ns = int((time.monotonic() - waiter.since_s) * 1e9)
        self.stats.fail_ns += waited_ns
        _tell(waiter, Outcome({}, error, waiter.rows, waited_ns, 0))

    def _remove(self, waiter: Waiter) -> None:
        del self._waiters[waiter]
        self._rows -= max(waiter.rows, 1)
        if waiter.timer is not None:
            waiter.timer.cancel()

    def _look(self) -> None:
        if not self._waiters:
            self._emptied()


def _timed(waiter: Waiter) -> Callable[[Outcome], None]:
    """The wait for the load counts as time in the queue."""
    waited_ns = int((time.monotonic() - waiter.since_s) * 1e9)

    def done(outcome: Outcome) -> None:
        outcome.queue_ns += waited_ns
        _tell(waiter, outcome)

    return done


def _tell(waiter: Waiter, outcome: Outcome) -> None:
    """Who is told is let go, as in a lane: callers keep their waiter, and no ring goes through it."""
    done, waiter.done = waiter.done, _nobody
    done(outcome)


def _nobody(_outcome: Outcome) -> None:
    """Who has heard hears no more."""

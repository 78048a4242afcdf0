"""A lane: the queue of one loaded version, and the one who runs its batches.

Everything but the model's own computing happens on the event loop. A request is a seat with a
callback: `submit` refuses or promises, and the callback hears exactly once, unless the caller
withdraws first. A quick model runs on the loop itself (handing a batch of 40 µs to a thread costs
more than it saves); a slow one on a thread, while the next batch fills.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np

from forebay.core import Signature, Tensors
from forebay.core.errors import Broken, Died, ForebayError, Full, Late, NotReady, Refused, message_for
from forebay.serving.engine.batcher import Batcher, BatchLimits, Seat
from forebay.serving.engine.cache import Cache, Outcome
from forebay.serving.engine.stats import LaneStats
from forebay.serving.runtime import Backend

_INLINE_S = 0.0005
_log = logging.getLogger("forebay.node")


class _Load(msgspec.Struct, gc=False, eq=False):
    inputs: Tensors
    rows: int
    done: Callable[[Outcome], None]
    deadline_s: float


Ticket = Seat[_Load]
"""Holds a place in a lane's queue."""


class Lane:
    """One version, loaded. Use it from one event loop only.

    `cost_s` is the measured time of a batch of one row, the first guess from which batches, and the
    choice between loop and thread, follow what is measured later. `calls` counts beginnings and ends of
    the model's computing; `apart` is the backend's. `used_s` is when the last batch began, on the monotonic
    clock; 0 before the first. *stats* go on counting what an earlier lane of the version began.
    """

    def __init__(
        self,
        backend: Backend,
        signature: Signature,
        limits: BatchLimits,
        executor: Executor,
        *,
        cost_s: float = 1.0,
        stats: LaneStats | None = None,
    ) -> None:
        self.signature = signature
        self.stats = LaneStats() if stats is None else stats
        self.used_s = 0.0
        self.apart = backend.apart
        self.calls = 0
        self.cache: Cache | None = None
        self._backend = backend
        self._executor = executor
        self._batches = signature.batches
        self._batcher: Batcher[_Load] = Batcher(self._fitting(limits), cost_s)
        self._loop = asyncio.get_running_loop()
        self._outputs = tuple(spec.name for spec in signature.outputs)
        self._one_shape = not self._batches or all(-1 not in spec.shape[1:] for spec in signature.inputs)
        self._only = signature.inputs[0] if self._batches and len(signature.inputs) == 1 else None
        self._running = False
        self._alone: deque[Seat[_Load]] = deque()
        self._timer: asyncio.Handle | None = None
        self._hopes = False
        self._closing = False
        self._idle = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many requests are queued."""
        return len(self._batcher)

    @property
    def busy(self) -> bool:
        """Whether anybody waits here for an answer."""
        return self._running or self._busy

    @property
    def computing(self) -> bool:
        """Whether the model computes right now; one and the same batch as long as `calls` stays the same."""
        return self.calls % 2 == 1

    @property
    def trouble(self) -> str:
        """Why the model cannot answer just now; empty while it can."""
        return self._backend.trouble

    @property
    def limits(self) -> BatchLimits:
        """How batches are made now."""
        return self._batcher.limits

    @limits.setter
    def limits(self, limits: BatchLimits) -> None:
        self._batcher.limits = self._fitting(limits)

    def keep(self, cache_bytes: int) -> None:
        """Keep answers in `cache`, at most *cache_bytes* of them; 0 forgets them all."""
        if not cache_bytes or self._closing:
            self.cache = None
        elif self.cache is None:
            self.cache = Cache(self, cache_bytes)
        else:
            self.cache.answers.resize(cache_bytes)

    def submit(self, inputs: Tensors, done: Callable[[Outcome], None], deadline_s: float = np.inf) -> Ticket:
        """Queue *inputs*; *done* hears the outcome on this loop. Returns the ticket for `withdraw`.

        `deadline_s` is a moment on the monotonic clock. Raises `Malformed`, `Full`, `TooLarge`, `NotReady`.
        """
        if self._closing:
            raise NotReady("this version is leaving; try again", retry_after_s=1.0)
        rows = self._rows_of(inputs)
        shape = None if self._one_shape else _shape_of(inputs)
        load = _Load(inputs, rows, done, deadline_s)
        now_s, batcher = time.monotonic(), self._batcher
        if batcher.rows and now_s < deadline_s < now_s + batcher.rows * batcher.row_s:
            self._check_hope(deadline_s - now_s)
        seat = batcher.offer(rows, load, now_s, shape)
        if self._hopes:
            self._pump_soon()
        elif self._timer is None and not self._running:
            # Not at once: everybody whose bytes arrived in this turn of the loop goes together.
            self._timer = self._loop.call_soon(self._pump)
        return seat

    def withdraw(self, ticket: Ticket) -> None:
        """The caller has left; harmless once the seat has been taken."""
        if self._batcher.withdraw(ticket):
            self.stats.left += 1
            ticket.load.done = _nobody
            self._settle()

    def prolong(self, ticket: Ticket, deadline_s: float) -> None:
        """Somebody else waits for the same answer, and perhaps for longer."""
        ticket.load.deadline_s = max(ticket.load.deadline_s, deadline_s)

    async def ask(self, inputs: Tensors, deadline_s: float = np.inf) -> Outcome:
        """Queue *inputs* and wait; leaving (being cancelled) frees the seat."""
        promise: asyncio.Future[Outcome] = self._loop.create_future()

        def resolve(outcome: Outcome) -> None:
            if not promise.done():
                promise.set_result(outcome)

        ticket = self.submit(inputs, resolve, deadline_s)
        try:
            return await promise
        finally:
            self.withdraw(ticket)

    async def close(self, wait_s: float) -> None:
        """Take no more, answer those who wait for at most *wait_s*, then give the memory back."""
        (await self.drain(wait_s)).close()

    async def drain(self, wait_s: float) -> Backend:
        """Take no more, answer those who wait for at most *wait_s*; the backend is the caller's to close."""
        self._closing = True
        self.cache = None
        self._settle()
        try:
            await asyncio.wait_for(self._idle.wait(), wait_s)
        except TimeoutError:
            while seats := self._batcher.take():
                self._fail(seats, NotReady("this version has left; try again", retry_after_s=1.0), 0)
            await self._idle.wait()
        return self._backend

    def _rows_of(self, inputs: Tensors) -> int:
        """What `Signature.check` says; one batching input, the common case, without its loop."""
        spec = self._only
        array = inputs.get(spec.name) if spec is not None and len(inputs) == 1 else None
        if spec is None or array is None:
            return self.signature.check(inputs)
        spec.check(array)
        return int(array.shape[0])

    def _fitting(self, limits: BatchLimits) -> BatchLimits:
        """Nobody shares a call of a model that does not batch."""
        return limits if self._batches else replace(limits, batch_rows=1)

    def _check_hope(self, left_s: float) -> None:
        """Raise `Full`, before any work, when the queue alone is sure to take longer than *left_s*."""
        sure_s = self._batcher.sure_s()
        if sure_s > left_s:
            self.stats.expired += 1
            raise Full(
                f"the queue takes {sure_s:.3g} s and the request has {left_s:.3g} s left; "
                "try again later, or allow it more time",
                retry_after_s=sure_s,
            )

    def _pump_soon(self) -> None:
        """Somebody came for whom others have been waiting: think again."""
        self._hopes = False
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._timer = None
        self._hopes = False
        if self._running:
            return
        if self._alone:
            seats = self._present([self._alone.popleft()])
        else:
            now_s = time.monotonic()
            due_s = self._batcher.due_s(now_s)
            if due_s is None:
                self._settle()
                return
            if due_s > now_s:
                self._timer = self._loop.call_later(due_s - now_s, self._pump)
                self._hopes = True
                return
            seats = self._present(self._batcher.take())
        if seats:
            self._start(seats)
        else:
            self._next()

    def _present(self, seats: list[Seat[_Load]]) -> list[Seat[_Load]]:
        """Those whose deadline has not passed; the others are told."""
        now_s = time.monotonic()
        late = [seat for seat in seats if seat.load.deadline_s <= now_s]
        if not late:
            return seats
        self.stats.expired += len(late)
        self._fail(late, Late("the deadline passed while the request was waiting"), 0)
        return [seat for seat in seats if seat.load.deadline_s > now_s]

    def _start(self, seats: list[Seat[_Load]]) -> None:
        started_s = self.used_s = time.monotonic()
        if not self.apart and self._batcher.cost_s(seats) < _INLINE_S:
            self._finish(seats, started_s, self._compute(seats))
            return
        self._running = True
        work = self._executor.submit(self._compute, seats)
        work.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._back, seats, started_s, done.result())
        )

    def _back(self, seats: list[Seat[_Load]], started_s: float, result: _Result) -> None:
        self._running = False
        self._finish(seats, started_s, result)

    def _compute(self, seats: list[Seat[_Load]]) -> _Result:
        """Run one batch; on the loop or on a thread, so it touches nothing of the lane's but the calls."""
        began_ns = joined_ns = time.perf_counter_ns()
        try:
            inputs = _joined(seats)
            joined_ns = time.perf_counter_ns()
            self.calls += 1
            try:
                outputs: Tensors | ForebayError = self._backend.run(inputs, self._outputs)
            finally:
                self.calls += 1
        except ForebayError as error:
            outputs = error
        except Exception as error:  # noqa: BLE001 (anybody may write a backend; its failure is this batch's alone)
            _log.exception("a backend failed")
            outputs = Broken(message_for(error))
        return _Result(outputs, joined_ns - began_ns, time.perf_counter_ns() - joined_ns)

    def _finish(self, seats: list[Seat[_Load]], started_s: float, result: _Result) -> None:
        outputs, _, compute_ns = result
        if len(seats) > 1 and _spoilt(outputs):
            self._alone.extend(seats)  # by somebody's input: find out whose
        elif isinstance(outputs, ForebayError):
            self._fail(seats, outputs, compute_ns)
        else:
            self._answer(seats, outputs, started_s, result)
        self._next()

    def _answer(self, seats: list[Seat[_Load]], outputs: Tensors, started_s: float, result: _Result) -> None:
        rows, compute_ns = sum(seat.load.rows for seat in seats), result.compute_ns
        if self._batches and any(array.shape[:1] != (rows,) for array in outputs.values()):
            self._fail(seats, Broken(f"the model did not answer {rows} rows with {rows} rows"), compute_ns)
            return
        began_ns = time.perf_counter_ns()
        alone, first, queue_ns, observe = len(seats) == 1, 0, 0, self.stats.queue.observe
        for seat in seats:
            load = seat.load
            end = first + load.rows
            own = outputs if alone else {name: array[first:end] for name, array in outputs.items()}
            first = end
            waited_s = started_s - seat.since_s
            observe(waited_s)
            waited_ns = int(waited_s * 1e9)
            queue_ns += waited_ns
            _tell(load, Outcome(own, None, load.rows, waited_ns, compute_ns))
        self._batcher.spent(seats, (result.input_ns + compute_ns) / 1e9, time.monotonic())
        output_ns = time.perf_counter_ns() - began_ns
        self.stats.count_batch(len(seats), rows, queue_ns, result.input_ns, compute_ns, output_ns)

    def _fail(self, seats: list[Seat[_Load]], error: ForebayError, compute_ns: int) -> None:
        self.stats.failed += len(seats)
        for seat in seats:
            waited_ns = int((time.monotonic() - seat.since_s) * 1e9)
            self.stats.fail_ns += waited_ns
            _tell(seat.load, Outcome({}, error, seat.load.rows, waited_ns, compute_ns))

    def _next(self) -> None:
        if self._busy and self._timer is None:
            self._timer = self._loop.call_soon(self._pump)
        self._settle()

    def _settle(self) -> None:
        if self._closing and not self._busy and not self._running:
            self._idle.set()

    @property
    def _busy(self) -> bool:
        return len(self._batcher) > 0 or len(self._alone) > 0


def _spoilt(outputs: Tensors | ForebayError) -> bool:
    """Whether a batch failed as one does that has a bad row in it; not when its process is gone."""
    return isinstance(outputs, (Refused, Broken)) and not isinstance(outputs, (Died, NotReady))


def _tell(load: _Load, outcome: Outcome) -> None:
    """Who is told is let go: callers keep their seat, and no collector looks for rings through seats."""
    done, load.done = load.done, _nobody
    done(outcome)


def _nobody(_outcome: Outcome) -> None:
    """Who has heard, or left, hears no more."""


def _shape_of(inputs: Tensors) -> Hashable:
    return tuple(array.shape[1:] for array in inputs.values())


class _Result(NamedTuple):
    outputs: Tensors | ForebayError
    input_ns: int
    compute_ns: int


def _joined(seats: list[Seat[_Load]]) -> Tensors:
    first = seats[0].load.inputs
    if len(seats) == 1:
        return first
    return {name: np.concatenate([seat.load.inputs[name] for seat in seats]) for name in first}

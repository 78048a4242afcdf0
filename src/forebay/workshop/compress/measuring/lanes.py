"""Asking through the lane of the engine, as a node does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import numpy as np

from forebay.core import Signature, Tensors
from forebay.serving.engine import BatchLimits, Lane, Loaded, load
from forebay.serving.runtime import Budget
from forebay.serving.runtime.machine import machine
from forebay.workshop.compress.measuring.energy import Meter

BATCHES = (1, 8, 32, 128)
LANE_MOST = 256
"""The largest batch that is looked at besides: compilers have answered wrongly in large ones only."""

_PATIENCE_S = 60.0
_LONG_S, _FEWEST_ROUNDS = 5.0, 3
_Result = TypeVar("_Result")


class Stand:
    """One version, loaded by the engine with as many threads as serve it best, behind a lane of its own.

    Use it with `opened`, from one thread.
    """

    def __init__(self, loaded: Loaded, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor) -> None:
        self.signature: Signature = loaded.signature
        self._loop = loop

        async def lane() -> Lane:
            limits = BatchLimits(batch_rows=LANE_MOST, wait_s=0.0)
            return loaded.lane(limits, pool)

        self._lane = self._do(lane())

    @classmethod
    @contextmanager
    def opened(cls, *folders: Path) -> Iterator[list[Stand]]:
        """A stand for each of *folders*, in this order; raises what `engine.load` raises."""
        loop = asyncio.new_event_loop()
        thread = Thread(target=loop.run_forever, name="lanes", daemon=True)
        thread.start()
        stands: list[Stand] = []
        try:
            with ThreadPoolExecutor(1) as pool:
                try:
                    for folder in folders:
                        loaded = load(folder, Budget(threads=machine().cores, code=True))
                        stands.append(cls(loaded, loop, pool))
                    yield stands
                finally:
                    for stand in stands:
                        stand.close()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def say(self, inputs: Tensors) -> Tensors:
        """The answer to one request."""
        return self.ask(inputs)[0]

    def ask(self, inputs: Tensors) -> tuple[Tensors, float]:
        """The same with the seconds from the lane's queue to its answer.

        Raises what the lane answers, as an error.
        """

        async def asked() -> tuple[Tensors, float]:
            began_s = time.perf_counter()
            outcome = await self._lane.ask(inputs)
            if outcome.error is not None:
                raise outcome.error
            return outcome.outputs, time.perf_counter() - began_s

        return self._do(asked())

    def close(self) -> None:
        """Give the version's memory back."""
        self._do(self._lane.close(1.0))

    def _do(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Answered:
    """All rows, asked in batches of one size."""

    batch_rows: int
    said: Tensors


def answered(ask: Callable[[Tensors], Tensors], rows: Tensors, batch_rows: int) -> Answered:
    """Ask *rows* in batches of exactly so many, the last one filled up with the first rows."""
    count = len(next(iter(rows.values())))
    parts: list[Tensors] = []
    for start in range(0, count, batch_rows):
        places = np.arange(start, start + batch_rows) % count
        parts.append(ask({name: values[places] for name, values in rows.items()}))
    said = {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}
    return Answered(batch_rows, said)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a request of `batch_rows` rows costs: seconds by percentile, and joules of one row.

    The energy is the processor's own counter where it may be read, and otherwise an estimate from the
    time that cores worked.
    """

    batch_rows: int
    p50_s: float
    p95_s: float
    p99_s: float
    row_joules: float

    @property
    def rows_s(self) -> float:
        """Rows in a second, one request after the other."""
        return self.batch_rows / self.p50_s


def race(
    stands: Sequence[Stand], rows: Tensors, batches: Sequence[int], rounds: int, runs: int = 5
) -> list[Mapping[int, Costs]]:
    """Time the *stands* by turns, so that a noisy minute is noisy for all of them.

    In each of *rounds* and for each size every stand answers *runs* requests; of sizes at which all of that
    would take long, one request in each round, and fewer rounds.
    """
    taken: list[dict[int, list[float]]] = [{size: [] for size in batches} for _ in stands]
    joules: list[dict[int, float]] = [dict.fromkeys(batches, 0.0) for _ in stands]
    spent_s = dict.fromkeys(batches, 0.0)
    meter = Meter()
    for turn in range(rounds):
        for size in batches:
            if turn >= _FEWEST_ROUNDS and spent_s[size] > _LONG_S:
                continue
            request = _request(rows, size, turn)
            for place, stand in enumerate(stands):
                first_s = stand.ask(request)[1]  # the other one's data is in the caches
                now = runs if first_s * runs * rounds < _LONG_S else 1
                with meter.running() as spent:
                    times = [stand.ask(request)[1] for _ in range(now)]
                taken[place][size].extend(times)
                joules[place][size] += spent.joules
                spent_s[size] += first_s + sum(times)
    return [
        {size: _costs(size, taken[place][size], joules[place][size]) for size in batches}
        for place in range(len(stands))
    ]


def _request(rows: Tensors, size: int, turn: int) -> Tensors:
    count = len(next(iter(rows.values())))
    places = (np.arange(size) + turn * size) % count
    return {name: np.ascontiguousarray(values[places]) for name, values in rows.items()}


def _costs(size: int, taken: list[float], joules: float) -> Costs:
    p50, p95, p99 = np.quantile(np.asarray(taken), [0.5, 0.95, 0.99])
    return Costs(size, float(p50), float(p95), float(p99), joules / (len(taken) * size))

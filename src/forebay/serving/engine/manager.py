"""Loads versions and lets them go, within a budget of bytes.

What is decided stands in `Residency`; here it is done, one load after the other. A request for a version
that is not in memory waits in its `WaitingRoom`, and nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from forebay.core.errors import ForebayError, NotReady, message_for
from forebay.serving.engine.lane import Lane
from forebay.serving.engine.load import Loaded
from forebay.serving.engine.residency import Move, Obstacle, Place, Residency
from forebay.serving.engine.resident import Resident
from forebay.serving.engine.stats import LOAD_BUCKETS_S, Histogram
from forebay.serving.engine.waiting import WaitingRoom
from forebay.serving.engine.weighing import collect_and_give_back, look_at, unload, weighed_load
from forebay.serving.runtime import Backend, Budget

_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 30.0
_LOOK_AGAIN_S = 0.02
_CALM_S = 1.0
_LOOK_AGAIN_PATIENTLY_S = 0.25
_REMEDY = "raise FOREBAY_MODEL_MEMORY_BYTES"
_log = logging.getLogger("forebay.node")


@dataclass(frozen=True, slots=True)
class Workers:
    """Where batches are computed, the one thread that loads, and where threads wait for processes."""

    compute: Executor
    loading: Executor
    waiting: Executor


class ManagerStats:
    """What the manager counts; everything here only grows."""

    def __init__(self) -> None:
        self.loads = 0
        self.failures = 0
        self.evictions = 0
        self.load_s = Histogram(LOAD_BUCKETS_S)


class Manager:
    """Every version on this node. Use it from one event loop only."""

    def __init__(self, budget_bytes: int, workers: Workers, each: Budget, drain_s: float) -> None:
        """Models may take *budget_bytes* of memory together, and *each* of the machine what that says."""
        self.stats = ManagerStats()
        self._residency: Residency[Resident] = Residency(budget_bytes)
        self._workers = workers
        self._each = each
        self._drain_s = drain_s
        self._loop = asyncio.get_running_loop()
        self._residents: dict[Resident, None] = {}
        self._move: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._timers: dict[Resident, asyncio.TimerHandle] = {}
        self._look_again: asyncio.TimerHandle | None = None
        self._trim: asyncio.TimerHandle | None = None

    @property
    def budget_bytes(self) -> int:
        """What the models may take together."""
        return self._residency.budget_bytes

    @property
    def loaded_bytes(self) -> int:
        """What they take, those included that are on their way in or out."""
        return self._residency.used_bytes

    @property
    def residents(self) -> tuple[Resident, ...]:
        """Every version, loaded or not."""
        return tuple(self._residents)

    def admit(self, resident: Resident) -> None:
        """Take *resident* in: it waits on the disk, and is loaded in its turn, to show that it answers."""
        self._residents[resident] = None
        self._residency.add(resident, resident.artifact.size_bytes)
        self._to_room(resident)
        resident.say("loading")
        self._want(resident, urgent=False)

    def pin(self, resident: Resident, *, pinned: bool) -> None:
        """Keep *resident* in memory from now on, or no more."""
        if resident.pinned != pinned:
            resident.pinned = pinned
            self._residency.pin(resident, pinned=pinned)
            if pinned and resident.state != "failed":
                self._want(resident, urgent=False)
            self._kick()

    def part(self, resident: Resident, *, parting: bool) -> None:
        """Whether *resident* is about to be replaced, and may be asked to step aside for that."""
        resident.parting = parting
        self._residency.part(resident, parting=parting)
        self._kick()

    def dismiss(self, resident: Resident) -> None:
        """Let *resident* go for good, once those who wait for it have their answers."""
        resident.dismissed = True
        if not (isinstance(resident.lane, WaitingRoom) and resident.lane.waiting):
            self._drop(resident)

    async def close(self) -> None:
        """Let every lane answer its last callers, and give the memory back."""
        for resident in self.residents:
            if isinstance(resident.lane, WaitingRoom):
                resident.lane.refuse(_leaving)
            resident.dismissed = True
            self._drop(resident)
        while self._move is not None or self._leaving:
            await asyncio.wait([*self._leaving, *([self._move] if self._move is not None else [])])
        for timer in (self._look_again, self._trim):
            if timer is not None:
                timer.cancel()

    # Who is wanted.

    def _came(self, resident: Resident) -> None:
        """Somebody has come to a version that is not in memory; raises `NotReady` if waiting is no use."""
        if resident.state != "failed":
            self._want(resident, urgent=True)
        if resident.state == "failed":
            raise self._refusal(resident)

    def _emptied(self, resident: Resident) -> None:
        """Nobody waits for it any more."""
        if resident.dismissed:
            self._drop(resident)
            return
        self._residency.unwant(resident)
        if resident.pinned or not resident.proved:
            self._want(resident, urgent=False)

    def _want(self, resident: Resident, *, urgent: bool) -> None:
        if self._residency.place(resident) in (Place.COMING, Place.HERE):
            return
        obstacle = self._residency.obstacle(resident)
        if obstacle is not None:
            self._block(resident, obstacle)
            return
        self._residency.want(resident, urgent=urgent)
        self._kick()

    def _block(self, resident: Resident, obstacle: Obstacle) -> None:
        self._fail(resident, self._sentence(resident, obstacle), for_good=obstacle is Obstacle.LARGE)

    def _sentence(self, resident: Resident, obstacle: Obstacle) -> str:
        size, budget = megabytes(self._residency.size_bytes(resident)), megabytes(self.budget_bytes)
        if obstacle is Obstacle.LARGE:
            return (
                f"{resident.name} takes {size}, and the models of this node may take {budget} together; "
                f"{_REMEDY}, or make it smaller"
            )
        return (
            f"{resident.name} takes {size}, and what is pinned leaves less than that of {budget}; "
            f"deploy another one without --pin, or {_REMEDY}"
        )

    def _refusal(self, resident: Resident) -> NotReady:
        wait_s = resident.retry_at_s - time.monotonic()
        after_s = None if math.isinf(wait_s) else max(1.0, wait_s)
        return NotReady(f"the model cannot be loaded: {resident.error}", retry_after_s=after_s)

    # One move after the other.

    def _kick(self) -> None:
        """See to it that what can be done is done."""
        if self._move is not None:
            return
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        move = self._residency.next(_used_s, _busy)
        if move is None:
            self._wait_for_room()
            return
        lanes = [(resident, self._put_out(resident)) for resident in move.leave]
        self._move = asyncio.create_task(self._do(move, lanes))
        self._move.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._move = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("the model manager failed unforeseen", exc_info=error)
        self._kick()

    async def _do(self, move: Move[Resident], lanes: list[tuple[Resident, Lane]]) -> None:
        await asyncio.gather(*(self._let_out(resident, lane) for resident, lane in lanes))
        self.stats.evictions += len(lanes)
        if move.load is not None:
            await self._load(move.load)

    def _wait_for_room(self) -> None:
        """Look again soon while somebody is wanted, for a lane says to nobody that it is idle."""
        for resident, obstacle in self._residency.blocked():
            self._block(resident, obstacle)
        urgent = self._residency.urgent
        for resident in urgent:
            if isinstance(resident.lane, WaitingRoom):
                resident.lane.why = (
                    f"there is no room for the model: all that is in memory is busy or pinned, and models "
                    f"may take {megabytes(self.budget_bytes)} together ({_REMEDY})"
                )
        if urgent or next(self._residency.wanted, None) is not None:
            wait_s = _LOOK_AGAIN_S if urgent else _LOOK_AGAIN_PATIENTLY_S
            self._look_again = self._loop.call_later(wait_s, self._kick)

    # In.

    async def _load(self, resident: Resident) -> None:
        resident.say("loading")
        began_s = time.monotonic()
        try:
            loaded, size_bytes = await self._loaded(resident)
        except (ForebayError, OSError) as error:
            self._residency.failed(resident)
            self._fail(resident, f"this node's disk: {error}" if isinstance(error, OSError) else str(error))
            return
        except Exception as error:  # noqa: BLE001 (anybody may write a backend; nobody is to wait for it for ever)
            self._residency.failed(resident)
            _log.exception("loading %s failed unforeseen", resident.name)
            self._fail(resident, message_for(error))
            return
        self.stats.loads += 1
        self.stats.load_s.observe(time.monotonic() - began_s)
        if self._residency.came(resident, size_bytes):
            self._let_in(resident, loaded, size_bytes)
            return
        await self._closed(resident, loaded.backend)
        if resident in self._residents:
            self._block(resident, Obstacle.LARGE)

    async def _loaded(self, resident: Resident) -> tuple[Loaded, int]:
        if resident.failures:  # what did not load may be damaged, or gone
            folder = await resident.fetch()
            resident.artifact = await asyncio.to_thread(look_at, folder)
        each = replace(self._each, label=resident.name)
        return await self._loop.run_in_executor(self._workers.loading, weighed_load, resident.artifact, each)

    def _let_in(self, resident: Resident, loaded: Loaded, size_bytes: int) -> None:
        room = resident.lane
        assert isinstance(room, WaitingRoom)
        threads = self._workers.waiting if loaded.backend.apart else self._workers.compute
        lane = resident.lane = loaded.lane(resident.limits, threads, resident.stats)
        lane.keep(resident.cache_bytes)
        resident.memory_bytes, resident.failures, resident.proved = size_bytes, 0, True
        resident.say("ready")
        room.open(lane)
        if resident.dismissed:
            self._drop(resident)

    def _fail(self, resident: Resident, why: str, *, for_good: bool = False) -> None:
        """Tell all who wait, and try again later, unless that is no use."""
        self.stats.failures += 1
        retry_s = math.inf if for_good else min(_FIRST_RETRY_S * 2**resident.failures, _LAST_RETRY_S)
        resident.failures += 1
        resident.retry_at_s = time.monotonic() + retry_s
        self._residency.unwant(resident)
        self._no_retry(resident)
        if not resident.dismissed:
            _log.warning("%s cannot be served: %s", resident.name, why)
        resident.say("failed", why)
        if isinstance(resident.lane, WaitingRoom):
            resident.lane.refuse(lambda: self._refusal(resident))
        if resident.dismissed:
            self._drop(resident)
        elif not for_good:
            self._timers[resident] = self._loop.call_later(retry_s, self._retry, resident)

    def _retry(self, resident: Resident) -> None:
        self._no_retry(resident)
        resident.say("unloaded" if resident.proved else "loading", resident.error)
        self._want(resident, urgent=False)

    def _no_retry(self, resident: Resident) -> None:
        if (timer := self._timers.pop(resident, None)) is not None:
            timer.cancel()

    # Out.

    def _put_out(self, resident: Resident) -> Lane:
        """From now on its callers wait; what its lane has is still answered."""
        lane = resident.lane
        assert isinstance(lane, Lane)
        if resident.parting:
            resident.step_aside()
        self._to_room(resident)
        resident.memory_bytes = 0
        resident.say("unloaded")
        return lane

    def _to_room(self, resident: Resident) -> None:
        resident.lane = WaitingRoom(
            resident.artifact.info.signature,
            resident.limits,
            resident.stats,
            came=lambda: self._came(resident),
            emptied=lambda: self._emptied(resident),
        )

    async def _let_out(self, resident: Resident, lane: Lane) -> None:
        await self._closed(resident, await lane.drain(self._drain_s))

    async def _closed(self, resident: Resident, backend: Backend) -> None:
        expected_bytes = self._residency.size_bytes(resident)
        await self._loop.run_in_executor(self._workers.loading, unload, backend, expected_bytes)
        self._residency.went(resident)
        self._trim_later()
        self._kick()

    def _trim_later(self) -> None:
        """Give back, once all is calm, what answers still held of a version when it left."""
        if self._trim is not None:
            self._trim.cancel()
        self._trim = self._loop.call_later(
            _CALM_S, self._loop.run_in_executor, self._workers.loading, collect_and_give_back
        )

    def _drop(self, resident: Resident) -> None:
        if resident not in self._residents:
            return
        del self._residents[resident]
        self._no_retry(resident)
        if self._residency.drop(resident):
            assert isinstance(resident.lane, Lane)
            task = asyncio.create_task(self._let_out(resident, resident.lane))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)


def megabytes(size_bytes: int) -> str:
    """A size for people.

    >>> megabytes(2_345_678_901)
    '2,345.7 MB'
    """
    return f"{size_bytes / 1e6:,.1f} MB"


def _used_s(resident: Resident) -> float:
    """When a version in memory was last used."""
    assert isinstance(resident.lane, Lane)
    return resident.lane.used_s


def _busy(resident: Resident) -> bool:
    assert isinstance(resident.lane, Lane)
    return resident.lane.busy


def _leaving() -> NotReady:
    return NotReady("the node is leaving; try again", retry_after_s=1.0)

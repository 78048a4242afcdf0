"""Brings what this node serves in line with the last snapshot; a swap never drops a request.

Each deployment has at most one task that settles it: fetch, verify, load, warm up, swap the route,
and only then let the old lanes answer their last callers. A newer snapshot overtakes an older one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from forebay.core import INFO_NAME, ArtifactInfo, Deployment, Limits, LoadState, Snapshot, Target
from forebay.core.errors import ForebayError, Malformed, message_for
from forebay.serving.engine import BatchLimits, load
from forebay.serving.node.artifacts import Artifacts
from forebay.serving.node.routing import Route, Routing, Served
from forebay.serving.runtime import Budget

_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 30.0
_log = logging.getLogger("forebay.node")

Name = tuple[str, str]
"""Project and model."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Where batches and loading run, and where a thread waits for a process that runs a batch."""

    compute: Executor
    loading: Executor
    waiting: Executor


class Versions:
    """The versions that this node has loaded, is loading, or lets go."""

    def __init__(
        self,
        routing: Routing,
        artifacts: Artifacts,
        workers: Workers,
        limits: BatchLimits,
        budget: Budget,
        drain_s: float,
        changed: Callable[[], None],
    ) -> None:
        self._routing = routing
        self._artifacts = artifacts
        self._workers = workers
        self._limits = limits
        self._budget = budget
        self._drain_s = drain_s
        self._changed = changed
        self._wanted: dict[Name, Deployment] = {}
        self._settled: dict[Name, Deployment] = {}
        self._tasks: dict[Name, asyncio.Task[None]] = {}
        self._news: dict[Name, asyncio.Event] = {}
        self._loaded: dict[tuple[Name, int], Served] = {}
        self._states: dict[tuple[Name, int], LoadState] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def apply(self, snapshot: Snapshot) -> None:
        """Start to serve what *snapshot* says."""
        self._wanted = {(each.project, each.model): each for each in snapshot.deployments}
        for name in [name for name in self._routing.all() if name not in self._wanted]:
            self._routing.drop(*name)
            self._settled.pop(name, None)
            self._let_go(name, keep=())
        for name, deployment in self._wanted.items():
            if self._settled.get(name) == deployment:
                continue
            if self._routing.get(*name) is None:
                self._routing.set(*name, None)
            self._nudge(name)

    def states(self) -> tuple[LoadState, ...]:
        """How far each version is; one that is loaded, and in trouble, says which."""
        troubles = {key: served.lane.trouble for key, served in self._loaded.items()}
        return tuple(
            LoadState(state.project, state.model, state.version, "failed", trouble)
            if (trouble := troubles.get(key, ""))
            else state
            for key, state in self._states.items()
        )

    @property
    def ready(self) -> bool:
        """Whether every deployment answers, or has said why it cannot."""
        return all(
            self._routing.get(*name) is not None or self._failed(name, deployment)
            for name, deployment in self._wanted.items()
        )

    def served(self) -> list[tuple[str, Served]]:
        """Every loaded version, with its project."""
        return [(name[0], served) for (name, _), served in self._loaded.items()]

    async def close(self) -> None:
        """Let every lane answer its last callers, and give the memory back."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for name in {name for name, _ in self._loaded}:
            self._let_go(name, keep=())
        await asyncio.gather(*self._leaving)

    def _failed(self, name: Name, deployment: Deployment) -> bool:
        states = [self._states.get((name, target.version)) for target in deployment.targets]
        return any(state is not None and state.state == "failed" for state in states)

    def _nudge(self, name: Name) -> None:
        """See to it that somebody settles *name*."""
        task = self._tasks.get(name)
        if task is not None and not task.done():
            self._news[name].set()
            return
        self._news[name] = asyncio.Event()
        task = self._tasks[name] = asyncio.create_task(self._settle(name))
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: Name, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("deploying %s failed unforeseen", name[1], exc_info=error)
            for target in self._wanted[name].targets if name in self._wanted else ():
                self._say(name, target.version, "failed", message_for(error))

    async def _settle(self, name: Name) -> None:
        retry_s = _FIRST_RETRY_S
        while (deployment := self._wanted.get(name)) is not None:
            if self._settled.get(name) == deployment:
                return
            self._news[name].clear()
            if await self._load_all(name, deployment):
                retry_s = _FIRST_RETRY_S
                if self._wanted.get(name) == deployment:
                    self._swap(name, deployment)
                continue
            try:
                await asyncio.wait_for(self._news[name].wait(), retry_s)
            except TimeoutError:
                retry_s = min(retry_s * 2, _LAST_RETRY_S)
        self._let_go(name, keep=())

    async def _load_all(self, name: Name, deployment: Deployment) -> bool:
        for target in deployment.targets:
            if (name, target.version) in self._loaded:
                continue
            try:
                await self._load(name, target, deployment.limits)
            except ForebayError as error:
                self._say(name, target.version, "failed", str(error))
                _log.warning("%s:%d cannot be served: %s", name[1], target.version, error)
                return False
            except OSError as error:
                self._say(name, target.version, "failed", f"this node's disk: {error}")
                _log.exception("%s:%d cannot be read", name[1], target.version)
                return False
        return True

    async def _load(self, name: Name, target: Target, limits: Limits) -> None:
        self._say(name, target.version, "fetching")
        folder = await self._artifacts.get(target.artifact)
        self._say(name, target.version, "loading")
        loop = asyncio.get_running_loop()
        info = ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
        budget = replace(self._budget, label=f"{name[1]}:{target.version}")
        loaded = await loop.run_in_executor(self._workers.loading, load, folder, budget)
        apart = loaded.backend.apart
        lane = loaded.lane(
            self._limits_for(limits), self._workers.waiting if apart else self._workers.compute
        )
        self._loaded[name, target.version] = Served.of(name[1], target.version, lane, info)
        self._say(name, target.version, "ready")

    def _limits_for(self, limits: Limits) -> BatchLimits:
        """The node's own limits where the deployment says nothing; raises `Malformed` if they cannot work."""
        own = self._limits
        try:
            return BatchLimits(
                own.batch_rows if limits.batch_rows is None else limits.batch_rows,
                own.wait_s if limits.wait_s is None else limits.wait_s,
                own.queue_rows if limits.queue_rows is None else limits.queue_rows,
            )
        except ValueError as error:
            raise Malformed(f"the deployment's limits cannot work: {error}") from error

    def _swap(self, name: Name, deployment: Deployment) -> None:
        serving = tuple((self._loaded[name, target.version], target.weight) for target in deployment.targets)
        for served, _ in serving:
            served.lane.limits = self._limits_for(deployment.limits)
            served.lane.keep(deployment.limits.cache_bytes or 0)
        self._routing.set(*name, Route(serving))
        self._settled[name] = deployment
        self._let_go(name, keep=[target.version for target in deployment.targets])
        _log.info("%s now answers with %s", name[1], [target.version for target in deployment.targets])

    def _let_go(self, name: Name, keep: list[int] | tuple[int, ...]) -> None:
        """Close every lane of *name* but those to keep, after their last answer."""
        for key in [key for key in self._states if key[0] == name and key[1] not in keep]:
            del self._states[key]
        for key in [key for key in self._loaded if key[0] == name and key[1] not in keep]:
            task = asyncio.create_task(self._loaded.pop(key).lane.close(self._drain_s))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        self._changed()

    def _say(self, name: Name, version: int, state: str, error: str = "") -> None:
        self._states[name, version] = LoadState(*name, version, state, error)
        self._changed()

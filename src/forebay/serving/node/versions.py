"""Brings what this node serves in line with the last snapshot; a swap never drops a request.

Each deployment has at most one task that settles it: fetch, verify, let the manager load and try each
version, swap the route, and only then let the old versions answer their last callers. A newer snapshot
overtakes an older one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial

from forebay.core import Deployment, Limits, LoadState, Snapshot, Target
from forebay.core.errors import ForebayError, Malformed, NotReady, message_for
from forebay.serving.engine import BatchLimits, Manager, look_at
from forebay.serving.node.artifacts import Artifacts
from forebay.serving.node.routing import Route, Routing, Served
from forebay.serving.node.standing import Name, Standing

_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 30.0
_log = logging.getLogger("forebay.node")

_Held = list[tuple[Served, int]]
"""Versions and their weights."""


class Versions:
    """The versions that this node serves, and those that it is about to serve."""

    def __init__(
        self,
        routing: Routing,
        artifacts: Artifacts,
        manager: Manager,
        limits: BatchLimits,
        changed: Callable[[], None],
    ) -> None:
        self._routing = routing
        self._artifacts = artifacts
        self._manager = manager
        self._limits = limits
        self._standing = Standing(changed)
        self._wanted: dict[Name, Deployment] = {}
        self._settled: dict[Name, Deployment] = {}
        self._tasks: dict[Name, asyncio.Task[None]] = {}
        self._news: dict[Name, asyncio.Event] = {}
        self._held: dict[Name, dict[tuple[int, str], Served]] = defaultdict(dict)
        self._before: dict[Name, Route] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """Start to serve what *snapshot* says."""
        before, self._wanted = (
            self._wanted,
            {(each.project, each.model): each for each in snapshot.deployments},
        )
        for name in before.keys() - self._wanted.keys():
            self._routing.drop(*name)
            self._settled.pop(name, None)
            self._let_go(name, keep=())
            if name in self._news:
                self._news[name].set()
        for name, deployment in self._wanted.items():
            if self._settled.get(name) == deployment:
                continue
            if name not in self._routing.all():
                self._routing.set(*name, None)
                self._standing.expect(name)
            self._nudge(name)

    def states(self) -> tuple[LoadState, ...]:
        """How far each version is; one that is loaded, and in trouble, says which."""
        troubles = {
            (*name, served.version): served.lane.trouble
            for name, versions in self._held.items()
            for served in versions.values()
            if served.lane.trouble
        }
        return self._standing.states(troubles)

    @property
    def ready(self) -> bool:
        """Whether every deployment has answered once, or has said why it cannot."""
        return self._standing.ready

    def served(self) -> list[tuple[str, Served]]:
        """Every version that has answered once, with its project."""
        return [
            (name[0], served)
            for name, versions in self._held.items()
            for served in versions.values()
            if served.proved
        ]

    async def close(self) -> None:
        """Let every lane answer its last callers, and give the memory back."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._manager.close()

    def _nudge(self, name: Name) -> None:
        """See to it that somebody settles *name*."""
        if name in self._tasks:
            self._news[name].set()
            return
        self._news[name] = asyncio.Event()
        task = self._tasks[name] = asyncio.create_task(self._settle(name, self._news[name]))
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: Name, task: asyncio.Task[None]) -> None:
        del self._tasks[name], self._news[name]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("deploying %s failed unforeseen", name[1], exc_info=error)
            for target in self._wanted[name].targets if name in self._wanted else ():
                self._trouble(name, target, message_for(error))
        elif name in self._wanted and self._settled.get(name) != self._wanted[name]:
            self._nudge(name)  # it was deployed again in the very moment in which the task ended

    async def _settle(self, name: Name, news: asyncio.Event) -> None:
        retry_s = _FIRST_RETRY_S
        while (deployment := self._wanted.get(name)) is not None and self._settled.get(name) != deployment:
            news.clear()
            held = await self._hold(name, deployment)
            if name in self._wanted:
                self._forget_overtaken(name, self._wanted[name])
            if self._wanted.get(name) != deployment:
                continue
            if held is None:
                await _either(news, retry_s)
                retry_s = min(retry_s * 2, _LAST_RETRY_S)
            elif all(_answers(served) for served, _ in held):
                self._swap(name, deployment, held)
            else:
                self._make_way(name, held)
                await news.wait()
        if name not in self._wanted:
            self._let_go(name, keep=())

    async def _hold(self, name: Name, deployment: Deployment) -> _Held | None:
        """The versions of *deployment*, on this disk and known to the manager; None after a failure."""
        held = []
        for target in deployment.targets:
            try:
                served = await self._one(name, target, deployment)
            except ForebayError as error:
                # a hub that is away comes back, and its client goes on waiting: nothing has failed for good
                self._trouble(
                    name, target, str(error), "fetching" if isinstance(error, NotReady) else "failed"
                )
                _log.warning("%s:%d cannot be served: %s", name[1], target.version, error)
                return None
            except OSError as error:
                self._trouble(name, target, f"this node's disk: {error}")
                _log.exception("%s:%d cannot be read", name[1], target.version)
                return None
            held.append((served, target.weight))
        return held

    async def _one(self, name: Name, target: Target, deployment: Deployment) -> Served:
        limits = self._limits_for(deployment.limits)
        served = self._held[name].get((target.version, target.artifact))
        if served is None:
            self._standing.say(name, LoadState(*name, target.version, "fetching"))
            fetch = partial(self._artifacts.get, target.artifact)
            artifact = await asyncio.to_thread(look_at, await fetch())
            served = Served(name[1], target.version, artifact, limits, fetch)
            served.moved = partial(self._moved, name, served)
            self._held[name][target.version, target.artifact] = served
            self._manager.admit(served)
        self._manager.pin(served, pinned=deployment.pin)
        return served

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

    def _forget_overtaken(self, name: Name, wanted: Deployment) -> None:
        """Keep what is wanted, and who answers until then; others were overtaken on their way in."""
        routes = (self._routing.get(*name), self._before.get(name))
        answering = {served for route in routes if route is not None for served in route.served}
        meant = {(target.version, target.artifact) for target in wanted.targets}
        self._dismiss(name, lambda key, served: key not in meant and served not in answering)
        self._standing.keep(name, {version for version, _ in meant | self._held[name].keys()})

    def _make_way(self, name: Name, held: _Held) -> None:
        """While *held* are loaded, callers of a new name wait, and old versions go on.

        Where the memory does not hold both, the old ones step aside, and callers wait for the new ones.
        Should those not load then, it is the old ones' turn again, and this time they stay.
        """
        if self._routing.get(*name) is None:
            self._routing.set(*name, Route(held))
            return
        coming = {served for served, _ in held}
        first_try = not any(served.failures for served in coming)
        for served in self._held[name].values():
            if served not in coming:
                served.step_aside = partial(self._step_aside, name, held)
                self._manager.part(served, parting=first_try)

    def _step_aside(self, name: Name, held: _Held) -> None:
        before = self._routing.get(*name)
        if name not in self._before and before is not None:
            self._before[name] = before
            self._routing.set(*name, Route(held))

    def _swap(self, name: Name, deployment: Deployment, held: _Held) -> None:
        for served, _ in held:
            served.limit(self._limits_for(deployment.limits), deployment.limits.cache_bytes or 0)
            self._manager.part(served, parting=False)
        self._routing.set(*name, Route(held, deployment.aliases))
        self._before.pop(name, None)
        self._settled[name] = deployment
        self._standing.settled(name)
        self._let_go(name, keep=[served for served, _ in held])
        _log.info("%s now answers with %s", name[1], [target.version for target in deployment.targets])

    def _let_go(self, name: Name, keep: Iterable[Served]) -> None:
        """Dismiss every version of *name* but those to keep; their last callers are answered."""
        held, kept = self._held[name], set(keep)
        self._dismiss(name, lambda _, served: served not in kept)
        self._standing.keep(name, {version for version, _ in held})
        if not held:
            del self._held[name]

    def _dismiss(self, name: Name, leaves: Callable[[tuple[int, str], Served], bool]) -> None:
        held = self._held[name]
        for key in [key for key, served in held.items() if leaves(key, served)]:
            self._manager.dismiss(held.pop(key))

    def _moved(self, name: Name, served: Served) -> None:
        """The manager has got further with *served*, or has not."""
        if served not in self._held.get(name, {}).values():
            return
        state = LoadState(*name, served.version, served.state, served.error, served.memory_bytes)
        self._standing.say(name, state)
        if served.state == "failed" and name in self._before:
            self._routing.set(*name, self._before.pop(name))
        if name in self._news:
            self._news[name].set()

    def _trouble(self, name: Name, target: Target, why: str, state: str = "failed") -> None:
        self._standing.say(name, LoadState(*name, target.version, state, why))
        if self._routing.get(*name) is None:
            self._routing.explain(*name, why)


def _answers(served: Served) -> bool:
    """Whether traffic may be sent to *served*: it has answered, and what is pinned is in memory."""
    return served.proved and (served.state == "ready" or not served.pinned)


async def _either(news: asyncio.Event, wait_s: float) -> None:
    """Until there is news, or *wait_s* have passed."""
    try:
        await asyncio.wait_for(news.wait(), wait_s)
    except TimeoutError:
        return

"""The hub and the nodes of one home: started in order, kept running, stopped in order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from forebay.app.supervisor.child import Child
from forebay.app.supervisor.home import Home, Running
from forebay.app.supervisor.logfile import LogFile
from forebay.app.supervisor.probe import answers_ok

_GRACE_S = 5.0
_LOOK_EVERY_S = 0.05


class Plan(NamedTuple):
    """What to run. The nodes start once *node_key* is there: the hub makes it.

    Without *hub* only nodes run here, for a hub elsewhere.
    """

    hub: tuple[str, ...] | None
    nodes: tuple[tuple[str, ...], ...]
    environ: dict[str, str]
    hub_url: str
    node_url: str
    grpc_url: str
    node_key: Path
    drain_s: float
    release: str


class Supervisor:
    """Runs a plan until it is told to stop."""

    def __init__(self, home: Home, plan: Plan, say: Callable[[str], None]) -> None:
        self._home = home
        self._plan = plan
        self._say = say
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._stopping = asyncio.Event()
        health = f"{plan.hub_url}/api/v1/health"
        self._hubs = [] if plan.hub is None else [self._child("hub", plan.hub, health)]
        names = ["node"] if len(plan.nodes) == 1 else [f"node-{number}" for number in range(len(plan.nodes))]
        self._nodes = [self._child(name, command) for name, command in zip(names, plan.nodes, strict=True)]

    async def run(self, banner: Callable[[], None]) -> None:
        """Start everything, call *banner* when all of it answers, go on until SIGTERM, SIGINT or `stop`."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        self._write()
        async with asyncio.TaskGroup() as tasks:
            for hub in self._hubs:
                tasks.create_task(hub.keep())
            starting = tasks.create_task(self._start_nodes(tasks, banner))
            await self._stopping.wait()
            starting.cancel()
            await self._stop_all()

    def stop(self) -> None:
        """Begin to stop; a second call changes nothing."""
        if not self._stopping.is_set():
            self._say("stopping: finishing what was accepted")
        self._stopping.set()

    async def _start_nodes(self, tasks: asyncio.TaskGroup, banner: Callable[[], None]) -> None:
        while self._hubs and not self._plan.node_key.exists():
            await asyncio.sleep(_LOOK_EVERY_S)
        for node in self._nodes:
            tasks.create_task(node.keep())
        for child in (*self._hubs, *self._nodes):
            await child.was_ready.wait()
        banner()

    async def _stop_all(self) -> None:
        """The nodes first: they ship what they counted to the hub, which leaves last."""
        within_s = self._plan.drain_s + _GRACE_S
        for children in (self._nodes, self._hubs):
            await asyncio.gather(*(child.stop(within_s) for child in children))

    def _child(self, name: str, command: tuple[str, ...], url: str = "") -> Child:
        log = LogFile(self._home.logs / f"{name}.log", self._say)
        probe = partial(answers_ok, url) if url else None
        return Child(name, command, self._plan.environ, log, probe, self._say, self._write)

    def _write(self) -> None:
        try:
            self._home.write(self._running())
        except OSError as error:
            self._say(
                f"{self._home.folder} cannot be written ({error.strerror}); `forebay status` may be wrong"
            )

    def _running(self) -> Running:
        children = (*self._hubs, *self._nodes)
        return Running(
            pid=os.getpid(),
            hub_url=self._plan.hub_url,
            node_url=self._plan.node_url,
            grpc_url=self._plan.grpc_url,
            started_at=self._started_at,
            release=self._plan.release,
            stops_within_s=(self._plan.drain_s + _GRACE_S) * 2,
            parts={child.name: child.part for child in children},
            trouble="; ".join(child.trouble for child in children if child.trouble),
        )

"""A node: everything between the socket and the lanes, put together."""

from __future__ import annotations

import asyncio
import errno
import faulthandler
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil

from forebay.core import ForebayError, NodeReport, Snapshot
from forebay.core.errors import Broken, Conflict, OverLimit, Unauthenticated, message_for
from forebay.serving.engine import BatchLimits, Lane, Manager, Workers, budget_for
from forebay.serving.node.admission import Admission
from forebay.serving.node.answers import traced
from forebay.serving.node.artifacts import Artifacts
from forebay.serving.node.config import NodeConfig
from forebay.serving.node.doors import Doors, WrongMethod
from forebay.serving.node.exchange import Exchange
from forebay.serving.node.feed import Feed
from forebay.serving.node.grpc import GrpcServer
from forebay.serving.node.grpc_doors import GRPC_DOORS, UNSERVED
from forebay.serving.node.http import HttpLimits, HttpServer, header_lines
from forebay.serving.node.http2 import Http2Limits
from forebay.serving.node.http_doors import HTTP_DOORS, refusal_for
from forebay.serving.node.hub import HubLink
from forebay.serving.node.invocation_doors import cloud_doors
from forebay.serving.node.leasing import Leaser
from forebay.serving.node.limiting import Limiter
from forebay.serving.node.metrics import NodeMetrics
from forebay.serving.node.outbox import Outbox
from forebay.serving.node.routing import Routing
from forebay.serving.node.shipping import Shipper
from forebay.serving.node.tfs_grpc_doors import TFS_GRPC_DOORS, TFS_UNSERVED
from forebay.serving.node.tracing import Tracing
from forebay.serving.node.versions import Versions
from forebay.serving.node.watchdog import EXIT_CODE, Watchdog
from forebay.serving.runtime.fingerprint import machine_kind
from forebay.serving.usage import FileJournal

_REPORT_S = 2.0
_PAUSE = 4.0  # after a report, in times of what it took
_TIDY_S = 60.0
_PROCESSES = 512
_LAST_SHIPPING_S = 5.0
_log = logging.getLogger("forebay.node")


class Node:
    """Answers inference requests; make it on a running event loop, then `start` it."""

    def __init__(self, config: NodeConfig) -> None:
        """Open the journal and restore the last snapshot. Raises `ForebayError` if the folder is unusable."""
        self.config = config
        folder = config.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._keys_used: dict[str, float] = {}
        self.admission = Admission((), self._keys_used)
        self.routing = Routing()
        self.limiter = Limiter()
        self.journal = FileJournal(folder / "journal" / str(config.worker), sync=config.journal_sync)
        self.hub = HubLink(config.hub_url, config.key, config.name)
        self.shipper = Shipper(self.journal, self.hub)
        self.leaser = Leaser(self.limiter, self.hub, config.name)
        self.outbox = Outbox(self.journal, self.shipper.wake)
        self._artifacts = Artifacts(folder / "artifacts", self.hub)
        self._workers = Workers(
            ThreadPoolExecutor(os.cpu_count()), ThreadPoolExecutor(1), ThreadPoolExecutor(_PROCESSES)
        )
        self.manager = Manager(_budget(config), self._workers, config.budget, config.drain_s)
        self._changed = asyncio.Event()
        self.versions = Versions(
            self.routing,
            self._artifacts,
            self.manager,
            BatchLimits(config.batch_rows, config.batch_wait_s, config.queue_rows),
            self._changed.set,
        )
        self.feed = Feed(folder / f"snapshot-{config.worker}.json", self.hub, self._apply)
        self.http = HttpServer(self, _limits(config))
        self.grpc = GrpcServer(
            self, (*GRPC_DOORS, *TFS_GRPC_DOORS), {**UNSERVED, **TFS_UNSERVED}, _http2_limits(config)
        )
        self.grpc_port = 0
        self.tracing = Tracing.of(config)
        self.metrics = NodeMetrics(self)
        self._machine = machine_kind()
        self.hung = ""
        self._watchdog = Watchdog(self._lanes, config.budget.call_s, self._hangs)
        self.anonymous = f"Bearer {config.anonymous_key}".encode() if config.anonymous_key else None
        self._doors = Doors((*HTTP_DOORS, *cloud_doors(config.health_route, config.predict_route)))
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether this node has a snapshot and every deployment answers; no more once it is leaving."""
        return self.feed.current.number > 0 and self.versions.ready and not self._leaving

    @property
    def live(self) -> bool:
        """Whether what computes in this process comes to an end."""
        return not self.hung

    @property
    def _leaving(self) -> bool:
        return self.http.draining or bool(self.hung)

    async def start(self) -> int:
        """Begin to serve; returns the port of HTTP. Raises `Conflict` when a port is taken."""
        self.feed.restore()
        config, shared = self.config, self.config.workers > 1
        with _taken(config.port, "--port or FOREBAY_PORT"):
            port = await self.http.start(config.host, config.port, share_port=shared)
        with _taken(config.grpc_port, "--grpc-port or FOREBAY_GRPC_PORT"):
            self.grpc_port = await self.grpc.http2.start(config.host, config.grpc_port, share_port=shared)
        self._tasks = [
            asyncio.create_task(work)
            for work in (
                self.feed.follow(),
                self.shipper.run(),
                self.leaser.run(),
                self._report(),
                self._tidy(),
                self._watchdog.run(),
            )
        ]
        for task in self._tasks:
            task.add_done_callback(_never_ends)
        return port

    async def stop(self) -> None:
        """Answer what was asked, ship what was counted, give everything back."""
        wait_s = self.config.drain_s
        await asyncio.gather(self.http.stop(wait_s), self.grpc.http2.stop(wait_s))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.versions.close()
        await self.leaser.finish()
        await self.shipper.finish(_LAST_SHIPPING_S)
        await self.hub.close()
        self.journal.close()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)
        self._workers.compute.shutdown()
        self._workers.loading.shutdown()
        self._workers.waiting.shutdown()

    # What the HTTP server calls.

    def open(self, exchange: Exchange) -> None:
        """Find the door and check the key, before the body is read."""
        found = self._doors.find(exchange.method, exchange.target)
        door = exchange.door = found.door
        exchange.model, exchange.version = found.model, found.version
        if door.permission is not None:
            exchange.principal = self.admission.admit(
                exchange.headers.get(b"authorization", self.anonymous),
                door,
                found.model or None,
                exchange.connection,
            )

    def answer(self, exchange: Exchange) -> None:
        """Answer a whole request."""
        assert exchange.door is not None
        try:
            exchange.door.answer(self, exchange)
        except ForebayError as error:
            self.refuse(exchange, error)
        except Exception as error:  # noqa: BLE001 (the outermost: one request's failure is its own)
            _log.exception("%s %s failed", exchange.method.decode(), exchange.door.path)
            self.refuse(exchange, error)

    def refuse(self, exchange: Exchange, error: Exception, headers: bytes = b"") -> None:
        """Answer with *error*; *headers* are lines to go with it."""
        if not isinstance(error, ForebayError):
            error = Broken(message_for(error))
        said = refusal_for(exchange.target, exchange.door, error)
        headers += said.headers + _headers_for(error)
        if self.tracing is not None:
            headers += traced(self.tracing, exchange, said.status, {}, error)
        exchange.reply(said.status, said.body, said.content_type, headers)

    # What the tasks do.

    def _apply(self, snapshot: Snapshot) -> None:
        self.admission = Admission(snapshot.keys, self._keys_used)
        self.limiter.apply(snapshot.limits)
        self.versions.apply(snapshot)
        self._changed.set()  # whoever waits for a deployment that changes nothing waits for these words

    async def _report(self) -> None:
        while True:
            self._changed.clear()
            began_s = time.monotonic()
            try:
                await self._tell_hub()
            except ForebayError as error:
                _log.debug("no report: %s", error)
            took_s = time.monotonic() - began_s
            await asyncio.sleep(took_s * _PAUSE)  # a thousand versions that load are told in a few reports
            with_news = asyncio.create_task(self._changed.wait())
            await asyncio.wait([with_news], timeout=_REPORT_S)
            with_news.cancel()

    async def _tell_hub(self) -> None:
        state = self._state()
        await self.hub.report(state)
        for key_id, time_s in state.keys_used.items():
            if self._keys_used.get(key_id) == time_s:  # it was not used again while the report was on its way
                del self._keys_used[key_id]

    async def _tidy(self) -> None:
        """Now and then: ask anew which keys are used, delete artifacts that nothing has needed lately."""
        while True:
            await asyncio.sleep(_TIDY_S)
            self.admission.begin_round()
            deployments = self.feed.current.deployments
            needed = {target.artifact for each in deployments for target in each.targets}
            try:
                await self._artifacts.keep_only(needed)
            except OSError as error:
                _log.warning("artifacts that nobody needs stay on the disk: %s", error)

    def _lanes(self) -> Iterator[tuple[str, Lane]]:
        for project, served in self.versions.served():
            if isinstance(served.lane, Lane):
                yield f"{served.model}:{served.version} of {project}", served.lane

    def _hangs(self, what: str) -> None:
        self.hung = what
        _log.critical("%s; leaving as soon as the others are answered, to be started anew", what)
        faulthandler.dump_traceback(all_threads=True)
        self._tasks.append(asyncio.create_task(self._leave()))

    async def _leave(self) -> None:
        """Answer those who can be answered; then end, with what hangs."""
        wait_s = self.config.drain_s
        await asyncio.gather(self.http.stop(wait_s), self.grpc.http2.stop(wait_s))
        self.journal.close()
        os._exit(EXIT_CODE)

    def _state(self) -> NodeReport:
        return NodeReport(
            name=self.config.name,
            url=self.config.url,
            release=self.config.release,
            snapshot=self.feed.current.number,
            ready=self.ready,
            versions=self.versions.states(),
            journal_behind=self.journal.behind,
            time_ns=time.time_ns(),
            loaded_bytes=self.manager.loaded_bytes,
            budget_bytes=self.manager.budget_bytes,
            machine=self._machine,
            keys_used=dict(self._keys_used),
        )


def _budget(config: NodeConfig) -> int:
    """What the models of this process may take of the memory."""
    if config.model_memory_bytes:
        budget_bytes, whose = (
            config.model_memory_bytes // config.workers,
            "as FOREBAY_MODEL_MEMORY_BYTES says",
        )
    else:
        budget_bytes, whose = budget_for(config.workers), "three fifths of what there is"
    shared = f", shared by {config.workers} processes" if config.workers > 1 else ""
    _log.info("models may take %.0f MB of memory (%s%s)", budget_bytes / 1e6, whose, shared)
    return budget_bytes


def _limits(config: NodeConfig) -> HttpLimits:
    return HttpLimits(
        max_body_bytes=config.max_body_bytes,
        max_header_bytes=config.max_header_bytes,
        header_wait_s=config.header_wait_s,
        body_wait_s=config.body_wait_s,
        idle_wait_s=config.idle_wait_s,
        connections=config.connections,
    )


def _http2_limits(config: NodeConfig) -> Http2Limits:
    return Http2Limits(
        max_header_bytes=config.max_header_bytes,
        header_wait_s=config.header_wait_s,
        body_wait_s=config.body_wait_s,
        idle_wait_s=config.idle_wait_s,
        connections=config.connections,
    )


@contextmanager
def _taken(port: int, setting: str) -> Iterator[None]:
    """Say which setting helps when *port* is somebody else's."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Conflict(f"port {port} is taken; choose another with {setting}") from error


def _headers_for(error: ForebayError) -> bytes:
    pairs = []
    if error.retry_after_s is not None:
        pairs.append(("retry-after", str(max(1, ceil(error.retry_after_s)))))
    if isinstance(error, OverLimit):
        pairs += error.standing
    if isinstance(error, Unauthenticated):
        pairs.append(("www-authenticate", 'Bearer realm="forebay"'))
    if isinstance(error, WrongMethod):
        pairs.append(("allow", error.allowed))
    return header_lines(pairs)


def _never_ends(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("a part of the node has died; leaving, so that it is started anew", exc_info=error)
        os._exit(EXIT_CODE)

"""The hub as a process: the rooms of the control plane put together, served, and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Generator, Iterator

import uvicorn

import forebay
from forebay.app.logs import start_logging
from forebay.app.settings import Settings
from forebay.app.supervisor import Home, bound_socket
from forebay.app.wiring import ADMIN_KEY, NODE_KEY
from forebay.control.access import Access, Audit, Role
from forebay.control.billing import CallLimits, Invoices, Leases, Ledger, PlanBook, limits_for_nodes
from forebay.control.deploy import Deployments, Nodes
from forebay.control.hub.application import SERVED_WITH, HubApi, application, begin_stop
from forebay.control.hub.services import HubLimits, Services
from forebay.control.hub.work.kinds import job_kinds
from forebay.control.jobs import Jobs
from forebay.control.registry import Keeps, Registry
from forebay.control.store import Database, FolderBlobs, migrate
from forebay.core.errors import Broken

_log = logging.getLogger("forebay.hub")
_TICK_S = 1.0


def run_hub(settings: Settings) -> None:
    """Serve the control API until SIGTERM or SIGINT; raises `ForebayError` when it cannot begin."""
    start_logging(settings.log_level)
    with (
        Home(settings.home).held_by_hub(),
        bound_socket(settings.host, settings.hub_port, "--hub-port") as door,
        _services(settings) as services,
    ):
        limits = HubLimits(blob_bytes=settings.blob_limit_bytes, invoice_after_h=settings.invoice_after_h)
        app = application(services, forebay.__version__, limits)
        drain_s = max(1, round(settings.drain_s))
        config = uvicorn.Config(app, timeout_graceful_shutdown=drain_s, **SERVED_WITH)
        _log.info("listening on http://%s:%d", *door.getsockname()[:2])
        asyncio.run(_serve(app, config, door))


class _Server(uvicorn.Server):
    """uvicorn, which would end the process by the signal that stopped it; we have things to put away.

    It also wakes up once a second, for the Date header, and not ten times to see whether it should leave.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._leaving.wait()

    def leave(self) -> None:
        """End when every request is answered; a second time: at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._leaving.set()


async def _serve(app: HubApi, config: uvicorn.Config, door: socket.socket) -> None:
    server = _Server(config)

    def leave() -> None:
        server.leave()
        begin_stop(app)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    await server.serve(sockets=[door])
    if not server.started:
        raise Broken("the hub could not begin to serve; the lines above say why")
    _log.info("stopped")


@contextlib.contextmanager
def _services(settings: Settings) -> Iterator[Services]:
    """Every room over one database, brought up to date; jobs go on where they were."""
    database = Database(settings.database)
    migrate(database)
    access = Access(database)
    access.ensure_key_file(settings.home / ADMIN_KEY, Role.OPERATOR)
    access.ensure_key_file(settings.home / NODE_KEY, Role.NODE)
    blobs = FolderBlobs(settings.home / "blobs")
    registry = Registry(database, blobs)
    deployments = Deployments(database, registry, access.grants, limits_for_nodes)
    jobs = Jobs(
        database,
        settings.jobs_database,
        settings.home / "jobs",
        kinds=job_kinds(blobs, registry, allow_code=settings.allow_code),
        time_limit_s=settings.job_time_limit_s,
        children=settings.job_children,
    )
    try:
        jobs.start()
        yield Services(
            database=database,
            blobs=blobs,
            access=access,
            audit=Audit(database),
            registry=registry,
            keeps=Keeps(database),
            deployments=deployments,
            nodes=Nodes(database),
            ledger=Ledger(database, settings.billing_zone),
            plans=PlanBook(database),
            limits=CallLimits(database),
            leases=Leases(database),
            invoices=Invoices(database, settings.billing_zone, settings.invoice_sender.replace("|", "\n")),
            jobs=jobs,
        )
    finally:
        jobs.stop()
        database.close()

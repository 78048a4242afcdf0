"""A hub that answers on a real port, for tests that speak HTTP with it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI

from forebay.control.access import Access, Audit, KeyScope, Role
from forebay.control.billing import CallLimits, Invoices, Leases, Ledger, PlanBook, limits_for_nodes
from forebay.control.deploy import Deployments, Nodes
from forebay.control.hub.application import SERVED_WITH, begin_stop
from forebay.control.hub.services import Services
from forebay.control.jobs import JobRecord, State
from forebay.control.registry import Keeps, Registry
from forebay.control.store import Database, MemoryBlobs
from forebay.core.errors import NotFound

_START_WAIT_S = 10.0
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading all certificates for each client is slow


class RunningHub(ExitStack):
    """Where a hub answers, and the rooms behind it; closes its clients in the end."""

    def __init__(self, url: str, services: Services) -> None:
        super().__init__()
        self.url = url
        self.services = services

    def client(self, secret: str | None = None) -> httpx.Client:
        """A client with the key *secret*, or without any."""
        headers = [(b"authorization", f"Bearer {secret}".encode())] if secret else []
        return self.enter_context(
            httpx.Client(base_url=self.url, headers=headers, trust_env=False, verify=_NO_TLS)
        )

    def holder(
        self, role: Role, project: str = "default", models: Iterable[str] | None = None
    ) -> httpx.Client:
        """A client with a new key of *role*."""
        return self.client(
            self.services.access.create_key(
                project, role, "", KeyScope(models=None if models is None else tuple(models))
            )[1]
        )


class NoJobs:
    """Accepts every job and does none."""

    def __init__(self) -> None:
        self._accepted: dict[str, JobRecord] = {}

    def submit(self, project: str, kind: str, request: dict[str, Any], key_id: str) -> str:
        job_id = f"job-{len(self._accepted)}"
        now = datetime.now(UTC)
        self._accepted[job_id] = JobRecord(
            job_id, project, kind, State.QUEUED, "", now, None, None, request, None, None, None, key_id
        )
        return job_id

    def get(self, job_id: str) -> JobRecord:
        if job_id not in self._accepted:
            raise NotFound(f"there is no job {job_id!r}")
        return self._accepted[job_id]

    def list(self, _project: str, _limit: int) -> Any:
        return []

    def unfinished(self) -> Any:
        return []

    def counts(self) -> dict[str, float]:
        return {"running": 2, "queued": 0}


def services_over(database: Database) -> Services:
    """Every room over *database*, with blobs in memory and no jobs."""
    access = Access(database)
    blobs = MemoryBlobs()
    registry = Registry(database, blobs)
    return Services(
        database=database,
        blobs=blobs,
        access=access,
        audit=Audit(database),
        registry=registry,
        keeps=Keeps(database),
        deployments=Deployments(database, registry, access.grants, limits_for_nodes),
        nodes=Nodes(database),
        ledger=Ledger(database),
        plans=PlanBook(database),
        limits=CallLimits(database),
        leases=Leases(database),
        invoices=Invoices(database, sender="Forebay Test\nHarbour 1"),
        jobs=cast("Any", NoJobs()),
    )


class _Server(uvicorn.Server):
    """uvicorn, stopped as a real hub is, but without its tenths of a second of waiting for nothing."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(app, port=0, timeout_graceful_shutdown=2, **SERVED_WITH))
        self._app = app
        self._leave = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        await self._leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        begin_stop(self._app)
        await asyncio.sleep(0.01)  # the clients have left; their connections are about to notice
        if self.server_state.connections:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        await self.lifespan.shutdown()

    @property
    def address(self) -> str | None:
        """Where it answers; None while it does not."""
        if self._loop is None:
            return None
        port = self.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leave.set)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address at which *app* answers while the block runs."""
    server = _Server(app)
    thread = threading.Thread(target=server.run, name="hub")
    thread.start()
    try:
        deadline_s = time.monotonic() + _START_WAIT_S
        while (address := server.address) is None:
            if not thread.is_alive() or time.monotonic() > deadline_s:
                raise RuntimeError("the hub did not start")
            time.sleep(0.002)
        yield address
    finally:
        server.stop()
        thread.join()

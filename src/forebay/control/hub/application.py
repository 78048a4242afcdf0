"""The hub's HTTP application: /api/v1, its OpenAPI document, and problem details for every error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import anyio
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from forebay.control.deploy import Watch
from forebay.control.hub.border import Border
from forebay.control.hub.collecting import collect_now_and_then
from forebay.control.hub.guard import check_decided
from forebay.control.hub.invoicing import invoice_now_and_then
from forebay.control.hub.measure import Measured
from forebay.control.hub.noting import note_last_use, note_now_and_then
from forebay.control.hub.problems import Problem, add_common_problems, install_problems
from forebay.control.hub.routes import ROUTERS
from forebay.control.hub.services import HubLimits, Services
from forebay.control.hub.telling import Strangers
from forebay.control.monitor import HubMetrics

SERVED_WITH: dict[str, Any] = {
    "http": "h11",  # the one that limits the size of a request's head
    "h11_max_incomplete_event_size": 64 << 10,
    "lifespan": "on",
    "log_config": None,
    "access_log": False,
    "server_header": False,
}
"""How uvicorn is to serve the application, whoever starts it."""
_UPLOADS = 32  # at once; each holds a thread of its own, so that the others stay free
_DESCRIPTION = (
    "Projects, models, versions, aliases, deployments, keys, jobs, nodes and usage of one Forebay. "
    "Every error is a problem (RFC 9457) whose `detail` says what to do. Times are UTC."
)


class HubApi(FastAPI):
    """FastAPI, with an OpenAPI document that tells of the problems which no route has to name."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; made when somebody first asks for it."""
        document = super().openapi()
        document["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
        for path, operations in document["paths"].items():
            for operation in operations.values():
                add_common_problems(path, operation)
        return document


def application(
    services: Services,
    release: str,
    limits: HubLimits | None = None,
    routers: Sequence[APIRouter] = ROUTERS,
) -> HubApi:
    """The application over *services*; the caller runs it, and calls `begin_stop` when it is to end.

    Raises `Broken` for a route of which nobody has said who may pass.
    """
    check_decided(routers)
    app = HubApi(
        title="Forebay hub",
        version=release,
        description=_DESCRIPTION,
        docs_url="/docs",
        redoc_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.services = services
    app.state.limits = limits or HubLimits()
    app.state.metrics = HubMetrics(release)
    app.state.watch = Watch(services.deployments, services.database.changes)
    app.state.stopping = asyncio.Event()
    app.state.uploads = anyio.CapacityLimiter(_UPLOADS)
    app.state.strangers = Strangers()
    install_problems(app)
    app.add_middleware(Measured, metrics=app.state.metrics)
    app.add_middleware(Border, body_bytes=app.state.limits.body_bytes)
    for router in routers:
        app.include_router(router)
    return app


def begin_stop(app: FastAPI) -> None:
    """Let go of every request that only waits, so that the server can end; for the event loop's thread.

    Routes that wait or stream for long wait for `app.state.stopping` beside what they are after.
    """
    app.state.stopping.set()
    app.state.watch.close()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        services, limits = app.state.services, app.state.limits
        stack.push_async_callback(note_last_use, services)
        works = [app.state.watch.run(), collect_now_and_then(services), note_now_and_then(services)]
        if limits.invoice_after_h:
            works.append(invoice_now_and_then(services, limits.invoice_after_h))
        for work in works:
            task = asyncio.create_task(work)
            stack.push_async_callback(_cancelled, task)
        yield
        begin_stop(app)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _operation_id(route: APIRoute) -> str:
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name

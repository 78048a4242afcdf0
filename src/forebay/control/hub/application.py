"""The hub's HTTP application: /api/v1, its OpenAPI document, and problem details for every error."""

from __future__ import annotations

from fastapi import FastAPI

from forebay.control.hub.problems import install_problems
from forebay.control.hub.routes import ROUTERS
from forebay.control.hub.services import Services


def application(services: Services, release: str) -> FastAPI:
    """The application over *services*; the caller runs it."""
    app = FastAPI(title="Forebay hub", version=release, docs_url="/docs", redoc_url=None)
    app.state.services = services
    install_problems(app)
    for router in ROUTERS:
        app.include_router(router)
    return app

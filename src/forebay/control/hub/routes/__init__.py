"""The routes of the control API, one file a room."""

from fastapi import APIRouter

from forebay.control.hub.routes import (
    access,
    audit,
    billing,
    blobs,
    deployments,
    invoices,
    jobs,
    keeping,
    limits,
    monitor,
    nodes,
    plans,
    registry,
    snapshots,
)

ROUTERS: tuple[APIRouter, ...] = (
    monitor.router,
    access.router,
    blobs.router,
    registry.router,
    deployments.router,
    jobs.router,
    nodes.router,
    snapshots.router,
    billing.router,
    plans.router,
    limits.router,
    invoices.router,
    keeping.router,
    audit.router,
)
"""Each room's router; `application` includes them in this order."""

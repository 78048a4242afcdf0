"""What the hub's routes work with: the rooms of the control plane, put together once by `app`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from forebay.core import Principal

if TYPE_CHECKING:
    from forebay.control.access import Access, Audit
    from forebay.control.billing import CallLimits, Invoices, Leases, Ledger, PlanBook
    from forebay.control.deploy import Deployments, Nodes
    from forebay.control.jobs import Jobs
    from forebay.control.registry import Keeps, Registry
    from forebay.control.store import Blobs, Database


@dataclass(frozen=True, slots=True)
class Services:
    """Every room that a route may use."""

    database: Database
    blobs: Blobs
    access: Access
    audit: Audit
    registry: Registry
    keeps: Keeps
    deployments: Deployments
    nodes: Nodes
    ledger: Ledger
    plans: PlanBook
    limits: CallLimits
    leases: Leases
    invoices: Invoices
    jobs: Jobs


@dataclass(frozen=True, slots=True)
class HubLimits:
    """How large a body may be: of a request, and of a blob; how soon a month is invoiced (0: by hand)."""

    body_bytes: int = 8 << 20
    blob_bytes: int = 16 << 30
    invoice_after_h: float = 0.0


def services(request: Request) -> Services:
    """The services of the application that answers *request*."""
    return cast("Services", request.app.state.services)


_BEARER = HTTPBearer(auto_error=False, description="A key; Basic with the key as password works too.")


def caller(request: Request, _documented: Annotated[object, Security(_BEARER)] = None) -> Principal:
    """Who is calling, by `Authorization: Bearer KEY` or Basic with the key as password."""
    address = request.client.host if request.client is not None else ""
    found = services(request).access.identify(request.headers.get("authorization"), address)
    request.state.key_id = request.state.errand.who = found.key_id
    return found


Hub = Annotated[Services, Depends(services)]
Caller = Annotated[Principal, Depends(caller)]

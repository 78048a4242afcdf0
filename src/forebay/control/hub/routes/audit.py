"""Who did what."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from forebay.control.hub.bodies.keeping import AuditList, AuditVerification
from forebay.control.hub.guard import allowed, enter
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Hub
from forebay.core import Permission, Principal

router = APIRouter(prefix="/api/v1", tags=["audit"])


@router.get("/audit", responses=problems(404))
def list_audit(
    who: Annotated[Principal, Depends(allowed(Permission.AUDIT))],
    hub: Hub,
    project: Annotated[str | None, Query(description="Without it, wherever the key may look.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Only older than this number.")
    ] = None,
) -> AuditList:
    """Deeds that somebody may have to answer for, the newest first; nobody can change or delete them."""
    if project is not None:
        enter(who, project, hub)
    elif Permission.PROJECTS not in who.permissions:
        project = who.project
    return AuditList.model_validate({"items": hub.audit.entries(project, limit, before)})


@router.get(
    "/audit/export",
    response_class=StreamingResponse,
    responses={
        200: {"description": "JSON Lines", "content": {"application/jsonl": {"example": "{…}"}}},
        **problems(404),
    },
)
def export_audit(
    who: Annotated[Principal, Depends(allowed(Permission.AUDIT))],
    hub: Hub,
    project: Annotated[str | None, Query(description="Without it, wherever the key may look.")] = None,
) -> StreamingResponse:
    """Every deed, oldest first, a line of JSON each; with the hash that chains it to the one before."""
    if project is not None:
        enter(who, project, hub)
    elif Permission.PROJECTS not in who.permissions:
        project = who.project
    lines = (msgspec.json.encode(entry) + b"\n" for entry in hub.audit.all(project))
    return StreamingResponse(lines, media_type="application/jsonl")


@router.get("/audit/verification", dependencies=[Depends(allowed(Permission.PROJECTS))])
def verify_audit(
    hub: Hub,
    known: Annotated[str | None, Query(description="A `head` that was noted earlier.")] = None,
) -> AuditVerification:
    """Read the whole chain, and say what was altered, removed or put between."""
    return AuditVerification.model_validate(hub.audit.verify(known))

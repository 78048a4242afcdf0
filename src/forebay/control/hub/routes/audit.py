"""Who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from forebay.control.hub.bodies.keeping import AuditList
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

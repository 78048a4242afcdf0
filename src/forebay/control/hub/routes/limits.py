"""Limits: what a project's calls may take."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from forebay.control.hub.bodies.limits import LimitAnswer, LimitBody, LimitList
from forebay.control.hub.guard import in_project
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Hub
from forebay.core import Permission, Principal

router = APIRouter(prefix="/api/v1/projects/{project}/limits", tags=["limits"])

Limiter = Annotated[Principal, Depends(in_project(Permission.LIMITS))]


@router.get("", dependencies=[Depends(in_project(Permission.USAGE))], responses=problems(404))
def list_limits(project: str, hub: Hub) -> LimitList:
    """Every limit that holds for calls of the project."""
    return LimitList(items=[LimitAnswer.of(record) for record in hub.limits.list(project)])


@router.put("", responses=problems(404))
def set_limit(project: str, body: LimitBody, who: Limiter, hub: Hub) -> LimitAnswer:
    """Set a limit; one of the same unit, period, model and key is replaced.

    One that an operator sets stands beside the project's own, and only an operator changes it.
    """
    if body.model:
        hub.registry.model(project, body.model)
    if body.key_id:
        hub.access.key(project, body.key_id)
    record = hub.limits.set(
        project,
        body.unit,
        body.amount,
        who.key_id,
        period=body.period,
        key_id=body.key_id,
        model=body.model,
        by_platform=Permission.BILLING in who.permissions,
    )
    return LimitAnswer.of(record)


@router.delete("/{limit_id}", status_code=HTTPStatus.NO_CONTENT, responses=problems(404))
def remove_limit(project: str, limit_id: str, who: Limiter, hub: Hub) -> None:
    """Limit this no more."""
    hub.limits.remove(project, limit_id, who.key_id, by_platform=Permission.BILLING in who.permissions)

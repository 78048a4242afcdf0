"""Plans: what things cost, for whom, and what a month would have cost under one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from forebay.control.hub.bodies.plans import Bills, PlanAnswer, PlanBody, Plans, UseAnswer, UseBody, UseList
from forebay.control.hub.guard import allowed, in_project
from forebay.control.hub.moments import in_utc
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Caller, Hub
from forebay.core import Permission, Principal

router = APIRouter(prefix="/api/v1", tags=["plans"])

_READS_USAGE = [Depends(in_project(Permission.USAGE))]
Biller = Annotated[Principal, Depends(allowed(Permission.BILLING))]
ProjectBiller = Annotated[Principal, Depends(in_project(Permission.BILLING))]


@router.get("/plans")
def list_plans(_who: Caller, hub: Hub) -> Plans:
    """Every version of every plan and its prices."""
    return Plans(items=[PlanAnswer.of(said) for said in hub.plans.plans()])


@router.post("/plans", status_code=HTTPStatus.CREATED, responses=problems(409))
def create_plan(body: PlanBody, who: Biller, hub: Hub) -> PlanAnswer:
    """Make a plan, or the next version of one; what held before stays as it was, for when it held."""
    return PlanAnswer.of(hub.plans.create(body.plan(), who.key_id, in_utc(body.holds_from)))


@router.get("/projects/{project}/plans", dependencies=_READS_USAGE, responses=problems(404))
def list_plan_uses(project: str, hub: Hub) -> UseList:
    """Which plans were chosen for the project; before the first, `default` holds."""
    return UseList(items=[UseAnswer.of(use) for use in hub.plans.uses(project)])


@router.post("/projects/{project}/plans", status_code=HTTPStatus.CREATED, responses=problems(404, 409))
def use_plan(project: str, body: UseBody, who: ProjectBiller, hub: Hub) -> UseAnswer:
    """Let a plan hold for the project."""
    return UseAnswer.of(hub.plans.use(project, body.plan, who.key_id, in_utc(body.holds_from)))


@router.get("/projects/{project}/bills/{month}", dependencies=_READS_USAGE, responses=problems(404))
def preview_bill(
    project: str,
    month: str,
    hub: Hub,
    plan: Annotated[
        str | None, Query(description="As if the latest version of this plan had held all month.")
    ] = None,
) -> Bills:
    """What a month, as in 2026-11, comes to so far, or would have come to under another plan."""
    return Bills.of(hub.ledger.bills(project, month, hub.plans.plan(plan) if plan else None))

"""What has been used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from forebay.control.billing import Grouping
from forebay.control.hub.bodies.billing import Gaps, Usage, UsageEvent, UsageEvents, Verification
from forebay.control.hub.guard import allowed, in_project
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Hub
from forebay.core import Permission

router = APIRouter(prefix="/api/v1", tags=["usage"])

_READS_USAGE = [Depends(in_project(Permission.USAGE))]


@router.get("/projects/{project}/usage", dependencies=_READS_USAGE, responses=problems(404))
def summarise_usage(
    project: str,
    hub: Hub,
    by: Grouping = Grouping.MODEL,
    since: Annotated[
        datetime | None, Query(description="From this moment on; UTC unless it says so.")
    ] = None,
    until: Annotated[datetime | None, Query(description="Up to before this moment.")] = None,
) -> Usage:
    """What the project has used, added up by model, key, version or day (UTC), and what it costs."""
    return Usage.of(hub.ledger.summary(project, by, since, until))


@router.get("/projects/{project}/usage/events", dependencies=_READS_USAGE, responses=problems(404))
def list_usage_events(
    project: str,
    hub: Hub,
    after: Annotated[int, Query(ge=0, lt=2**63, description="Only events behind this number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> UsageEvents:
    """The ledger itself, event by event, in the order in which they arrived; no items: no more events."""
    found = hub.ledger.events(project, after, limit)
    return UsageEvents(
        items=[UsageEvent.of(entry) for entry in found], after=found[-1].number if found else after
    )


@router.get("/usage/gaps", dependencies=[Depends(allowed(Permission.OBSERVE))])
def list_gaps(hub: Hub) -> Gaps:
    """What nodes have counted and never delivered; such requests were answered and will not be billed."""
    return Gaps.model_validate({"items": hub.ledger.gaps()})


@router.get("/usage/verification", dependencies=[Depends(allowed(Permission.PROJECTS))])
def verify_ledger(hub: Hub) -> Verification:
    """Read the whole ledger, and say what is missing, or not as a node wrote it, or wrongly added up."""
    return Verification.model_validate(hub.ledger.verify())

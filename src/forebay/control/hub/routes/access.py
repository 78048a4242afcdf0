"""Who is calling, projects, and keys."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from forebay.control.access import check_handing_on, check_power
from forebay.control.hub.bodies.access import (
    FreshKey,
    Keys,
    Me,
    NewKey,
    NewProject,
    Project,
    Projects,
    Rotation,
)
from forebay.control.hub.guard import allowed, in_project
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Caller, Hub
from forebay.core import Permission, Principal

router = APIRouter(prefix="/api/v1", tags=["access"])

KeyKeeper = Annotated[Principal, Depends(in_project(Permission.KEYS))]


@router.get("/me")
def me(who: Caller, hub: Hub) -> Me:
    """Who the key says you are, what it may do, and where to ask for predictions."""
    return Me.of(who, hub.nodes.inference_url())


@router.get("/projects")
def list_projects(who: Caller, hub: Hub) -> Projects:
    """Your project; for an administrator, every project."""
    everywhere = Permission.PROJECTS in who.permissions
    found = hub.access.projects() if everywhere else [hub.access.project(who.project)]
    return Projects.model_validate({"items": found})


@router.post(
    "/projects",
    status_code=HTTPStatus.CREATED,
    dependencies=[Depends(allowed(Permission.PROJECTS))],
    responses=problems(409),
)
def create_project(body: NewProject, hub: Hub) -> Project:
    """Make a project."""
    return Project.model_validate(hub.access.create_project(body.name))


@router.get("/projects/{project}/keys", responses=problems(404))
def list_keys(project: str, _who: KeyKeeper, hub: Hub) -> Keys:
    """The keys that are good now, oldest first, without their secrets."""
    return Keys.model_validate({"items": hub.access.keys(project)})


@router.post("/projects/{project}/keys", status_code=HTTPStatus.CREATED, responses=problems(404))
def create_key(project: str, body: NewKey, who: KeyKeeper, hub: Hub) -> FreshKey:
    """Make a key that may do no more than yours. Its secret is in this answer and nowhere else."""
    scope = body.scope()
    check_handing_on(who, body.role, scope, body.expires_at)
    record, secret = hub.access.create_key(project, body.role, body.name, scope, body.expires_at)
    return FreshKey.of(record, secret)


@router.post("/projects/{project}/keys/{key}/rotate", responses=problems(404))
def rotate_key(project: str, key: str, body: Rotation, who: KeyKeeper, hub: Hub) -> FreshKey:
    """Give a key another secret; the one before stays good for a while, so that callers can change over."""
    record = hub.access.key(project, key)
    check_handing_on(who, record.role, hub.access.scope(project, key), record.expires_at)
    return FreshKey.of(*hub.access.rotate_key(project, key, timedelta(seconds=body.overlap_s)))


@router.delete("/projects/{project}/keys/{key}", status_code=HTTPStatus.NO_CONTENT, responses=problems(404))
def revoke_key(project: str, key: str, who: KeyKeeper, hub: Hub) -> None:
    """Refuse a key from now on; the nodes hear of it at once."""
    record = hub.access.key(project, key)
    check_power(who, record.role, hub.access.scope(project, key))
    hub.access.revoke_key(project, key)

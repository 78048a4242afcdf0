"""Who may pass: every route but the open ones asks here, once.

Projector = Annotated[Principal, Depends(in_project(Permission.READ))]     # below /projects/{project}
Observer = Annotated[Principal, Depends(allowed(Permission.OBSERVE))]      # elsewhere
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request

from forebay.control.access import no_project
from forebay.control.hub.services import Caller, Hub
from forebay.control.registry import Gate, Override
from forebay.core import Permission, Principal


def allowed(permission: Permission) -> Callable[[Principal], Principal]:
    """A dependency: the caller, if their key has *permission*; raises `Forbidden`."""

    def check(who: Caller) -> Principal:
        who.require(permission)
        return who

    return check


def in_project(permission: Permission) -> Callable[[str, Request, Principal, Hub], Principal]:
    """A dependency: the caller, if they may act in the path's `{project}`, on its `{model}` if it has one.

    A project that is somebody else's gets the same `NotFound` as one that does not exist, so that names
    are not given away. Raises `Forbidden` for what the key may not do in its own project.
    """

    def check(project: str, request: Request, who: Caller, hub: Hub) -> Principal:
        enter(who, project, hub)
        who.require(permission, request.path_params.get("model"))
        return who

    return check


def gate_for(hub: Hub, who: Principal, reason: str | None = None) -> Gate:
    """What a request of *who* brings to the gate: the nodes that serve, and an override for *reason*."""
    return Gate(hub.nodes.machines(), overriding(who, reason))


def overriding(who: Principal, reason: str | None) -> Override | None:
    """An override, if there is a *reason* for one; raises `Forbidden` for a key that may not."""
    if reason is None:
        return None
    who.require(Permission.OVERRIDE)
    return Override(who.key_id, reason)


def enter(who: Principal, project: str, hub: Hub) -> None:
    """Raise `NotFound` unless *project* is the caller's own, or exists and they are an administrator."""
    if Permission.PROJECTS in who.permissions:
        hub.access.project(project)
    elif who.project != project:
        raise no_project(project)

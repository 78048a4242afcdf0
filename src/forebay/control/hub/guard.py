"""Who may pass: every route but the open ones asks here, once, and a route that does not is refused.

Projector = Annotated[Principal, Depends(in_project(Permission.READ))]     # below /projects/{project}
Observer = Annotated[Principal, Depends(allowed(Permission.OBSERVE))]      # elsewhere
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute

from forebay.control.access import no_project
from forebay.control.hub.services import Caller, Hub
from forebay.control.hub.telling import deed_of
from forebay.control.registry import Gate, Override
from forebay.core import Permission, Principal
from forebay.core.errors import Broken

OPEN = frozenset({("GET", "/api/v1/health")})
"""Where nobody shows a key."""
FOR_EVERY_KEY = frozenset({("GET", "/api/v1/me"), ("GET", "/api/v1/projects"), ("GET", "/api/v1/plans")})
"""What every key may ask, each about its own."""
_ASKS: dict[Callable[..., object], Permission] = {}


def allowed(permission: Permission) -> Callable[[Request, Principal], Principal]:
    """A dependency: the caller, if their key has *permission*; raises `Forbidden`."""

    def check(request: Request, who: Caller) -> Principal:
        who.require(permission)
        _set_out(request, who, permission)
        return who

    _ASKS[check] = permission
    return check


def in_project(permission: Permission) -> Callable[[str, Request, Principal, Hub], Principal]:
    """A dependency: the caller, if they may act in the path's `{project}`, on its `{model}` if it has one.

    A project that is somebody else's gets the same `NotFound` as one that does not exist, so that names
    are not given away. Raises `Forbidden` for what the key may not do in its own project.
    """

    def check(project: str, request: Request, who: Caller, hub: Hub) -> Principal:
        enter(who, project, hub)
        who.require(permission, request.path_params.get("model"))
        _set_out(request, who, permission)
        return who

    _ASKS[check] = permission
    return check


def _set_out(request: Request, who: Principal, permission: Permission) -> None:
    """From now on the audit hears of what is done, unless it only reads, or is one of a node's many words.

    Nor does it hear of bytes that are put: nothing is changed before a version refers to them.
    """
    if request.method in ("GET", "HEAD") or permission is Permission.NODE:
        return
    if request.scope["route"].path.endswith("/blobs/{sha256}"):
        return
    request.state.errand.deed = deed_of(request.scope, who.project)


def permissions_asked(route: APIRoute) -> frozenset[Permission]:
    """What *route* asks of its caller before it begins."""
    found, waiting = set(), [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if dependant.call in _ASKS:
            found.add(_ASKS[dependant.call])
        waiting += dependant.dependencies
    return frozenset(found)


def check_decided(routers: Iterable[APIRouter]) -> None:
    """Raise `Broken` for a route of which nobody has said who may pass: the hub does not start with it."""
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute):
                raise Broken(f"{route!r} passes by the guard; make it a route of the API")
            ways = {(method, route.path) for method in route.methods or ()}
            if not permissions_asked(route) and not ways <= OPEN | FOR_EVERY_KEY:
                raise Broken(
                    f"{route.path} lets everybody pass; give it a permission, or name it in hub/guard.py"
                )


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

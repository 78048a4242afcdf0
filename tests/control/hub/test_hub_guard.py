"""Default deny: nothing but the open routes answers without a key, and no key opens another's project."""

from __future__ import annotations

import base64
import logging
import re

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles

from forebay.control.access import PERMISSIONS, Role
from forebay.control.hub.application import application
from forebay.control.hub.guard import FOR_EVERY_KEY, OPEN, permissions_asked
from forebay.control.hub.routes import ROUTERS
from forebay.control.hub.services import Services
from forebay.core import Permission, new_key
from forebay.core.errors import Broken
from support.hub import RunningHub

DOCUMENTATION = {"/openapi.json", "/docs", "/docs/oauth2-redirect"}

DECISIONS = {
    (method, route.path): permissions_asked(route)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
}
ROUTES = list(DECISIONS)
GUARDED = [way for way in ROUTES if way not in OPEN]
IN_PROJECTS = [(method, path) for method, path in ROUTES if "{project}" in path]
OUTSIDE = {Role.OPERATOR, Role.NODE, Role.OBSERVER}  # what is no project's to give


def filled(path: str, project: str = "default") -> str:
    return re.sub(r"\{[^}]*\}", "1", path.replace("{project}", project))


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"ada:{secret}".encode()).decode()


def test_no_route_hides_from_this_test(services: Services) -> None:
    assert all(isinstance(route, APIRoute) for router in ROUTERS for route in router.routes)
    others = {getattr(route, "path", None) for route in application(services, "0.1.0").routes} - {None}
    assert others == DOCUMENTATION


def test_what_is_open_to_nobody_and_to_everybody_is_what_we_have_said() -> None:
    undecided = {way for way, permissions in DECISIONS.items() if not permissions}
    assert undecided == OPEN | FOR_EVERY_KEY


def test_a_hub_with_a_route_that_nobody_has_decided_on_does_not_start(services: Services) -> None:
    router = APIRouter()
    router.get("/api/v1/secrets")(lambda: "all of them")
    with pytest.raises(Broken, match="/api/v1/secrets lets everybody pass"):
        application(services, "0.1.0", routers=[router])
    unguarded = APIRouter()
    unguarded.mount("/files", StaticFiles(directory="."))
    with pytest.raises(Broken, match="passes by the guard"):
        application(services, "0.1.0", routers=[unguarded])


@pytest.mark.parametrize("role", Role)
def test_every_role_passes_where_the_table_says_so_and_nowhere_else(hub: RunningHub, role: Role) -> None:
    holder = hub.holder(role)
    for (method, path), permissions in DECISIONS.items():
        answer = holder.request(method, filled(path), headers={"x-request-id": "walk"})
        assert answer.status_code < 500, f"{role} {method} {path}: {answer.text}"
        passes = permissions <= PERMISSIONS[role]
        assert (answer.status_code != 403) == passes, f"{role} {method} {path}: {answer.text}"


@pytest.mark.parametrize("role", sorted(set(Role) - OUTSIDE))
def test_no_role_of_a_project_reaches_beyond_it(role: Role) -> None:
    assert PERMISSIONS[role].isdisjoint({Permission.PROJECTS, Permission.OBSERVE, Permission.NODE})


def test_nobody_passes_without_a_key(hub: RunningHub) -> None:
    strangers = [hub.client(), hub.client(new_key().secret), hub.client("\N{SNOWMAN}")]
    for method, path in GUARDED:
        for stranger in strangers:
            answer = stranger.request(method, filled(path))
            assert answer.status_code == 401, f"{method} {path}: {answer.text}"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
            assert "key" in told(answer)


def test_another_project_cannot_be_told_from_one_that_is_not_there(hub: RunningHub) -> None:
    hub.services.access.create_project("lab")
    strangers = [hub.holder(role, "lab") for role in Role if role is not Role.OPERATOR]
    for method, path in IN_PROJECTS:
        for stranger in strangers:
            theirs = stranger.request(method, filled(path, "default"))
            nobodys = stranger.request(method, filled(path, "attic"))
            assert theirs.status_code == nobodys.status_code == 404, f"{method} {path}: {theirs.text}"
            assert told(theirs).replace("'default'", "'attic'") == told(nobodys)


def test_an_administrator_is_told_that_a_project_is_not_there(admin: httpx.Client) -> None:
    for method, path in IN_PROJECTS:
        answer = admin.request(method, filled(path, "attic"))
        assert answer.status_code == 404, f"{method} {path}: {answer.text}"
        assert "no project 'attic'" in told(answer)


def test_health_needs_no_key(hub: RunningHub) -> None:
    answer = hub.client().get("/api/v1/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "release": "0.1.0"})


def test_the_key_may_come_as_a_password(hub: RunningHub) -> None:
    _, secret = hub.services.access.create_key("default", Role.DEVELOPER)
    for pair in (("ada", secret), ("", secret), (secret, "")):
        assert hub.client().get("/api/v1/me", auth=pair).status_code == 200
    assert hub.client().get("/api/v1/me", auth=("ada", "hunter2")).status_code == 401


def test_no_secret_reaches_the_log(hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, secret = hub.services.access.create_key("default", Role.DEVELOPER)
    made = (
        hub.client(secret).post("/api/v1/projects/default/keys", json={"role": "inference"}).json()["secret"]
    )
    stranger = new_key().secret
    client = hub.client()
    for key in (secret, made, stranger, f"{secret}x"):
        for method, path in ROUTES:
            for header in (f"Bearer {key}", basic(key), key):
                client.request(method, filled(path), headers={"Authorization": header})
    logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    for key in (secret, made, stranger):
        assert key.split("-", 2)[2] not in logged
        assert basic(key).removeprefix("Basic ") not in logged


def told(answer: httpx.Response) -> str:
    """What a problem says; a HEAD has no body, so nothing can be wrong with it."""
    head = answer.request.method == "HEAD"
    return "no project 'attic' key" if head else str(answer.json()["detail"])

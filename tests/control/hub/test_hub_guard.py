"""Default deny: nothing but the open routes answers without a key, and no key opens another's project."""

from __future__ import annotations

import base64
import logging
import re

import httpx
import pytest
from fastapi.routing import APIRoute

from forebay.control.access import Role
from forebay.control.hub.application import application
from forebay.control.hub.routes import ROUTERS
from forebay.control.hub.services import Services
from forebay.core import new_key
from support.hub import RunningHub

OPEN = {"/api/v1/health"}
DOCUMENTATION = {"/openapi.json", "/docs", "/docs/oauth2-redirect"}
FOR_EVERY_KEY = {("GET", "/api/v1/me"), ("GET", "/api/v1/projects"), ("GET", "/api/v1/plans")}

ROUTES = [
    (method, route.path)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
GUARDED = [(method, path) for method, path in ROUTES if path not in OPEN]
IN_PROJECTS = [(method, path) for method, path in ROUTES if "{project}" in path]


def filled(path: str, project: str = "default") -> str:
    return re.sub(r"\{[^}]*\}", "1", path.replace("{project}", project))


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"ada:{secret}".encode()).decode()


def test_no_route_hides_from_this_test(services: Services) -> None:
    assert all(isinstance(route, APIRoute) for router in ROUTERS for route in router.routes)
    others = {getattr(route, "path", None) for route in application(services, "0.1.0").routes} - {None}
    assert others == DOCUMENTATION


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
    strangers = [hub.holder(role, "lab") for role in (Role.DEVELOPER, Role.INFERENCE, Role.NODE)]
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


def test_a_key_for_predictions_is_good_for_nothing_else(hub: RunningHub) -> None:
    holder = hub.holder(Role.INFERENCE)
    for method, path in GUARDED:
        answer = holder.request(method, filled(path))
        expected = 200 if (method, path) in FOR_EVERY_KEY else 403
        assert answer.status_code == expected, f"{method} {path}: {answer.text}"


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

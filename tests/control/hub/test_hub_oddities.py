"""Whatever a caller sends, the hub answers; it never has to say that something went wrong here."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forebay.control.hub.routes import ROUTERS
from support.artifacts import register
from support.hub import RunningHub

ROUTES = [
    (method, route.path)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
    if "/events" not in route.path or "{project}" in route.path  # a job's events are a stream
]
NAMES = [
    "%00",
    "%F0%9F%92%A7",
    "9" * 30,
    "-1",
    "0",
    "a" * 3000,
    "%2e%2e%2fhub.db",
    "%20",
    "a%0Ab",
    "%ED%A0%80",
]
QUERY = {"after": ["-1", "9" * 30, "x"], "wait_s": ["nan", "-1"], "limit": ["0"], "since": ["yesterday"]}
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "targets",
        "limits",
        "revision",
        "version",
        "alias",
        "weight",
        "name",
        "role",
        "models",
        "kind",
        "request",
    ]
)


@pytest.fixture
def known(hub: RunningHub, admin: httpx.Client) -> httpx.Client:
    register(hub.services.registry, hub.services.blobs)
    admin.put("/api/v1/projects/default/deployments/digits")
    return admin


def test_no_name_in_a_path_is_too_odd(known: httpx.Client) -> None:
    for method, path in ROUTES:
        for name in NAMES:
            for filled in (re.sub(r"\{[^}]*\}", name, path), re.sub(r"\{(?!project)[^}]*\}", name, path)):
                answer = known.request(method, filled.replace("{project}", "default"), params={"wait_s": 0})
                assert answer.status_code < 500, f"{method} {filled[:80]}: {answer.text}"


def test_no_question_is_too_odd(known: httpx.Client) -> None:
    for method, path in ROUTES:
        if method == "GET":
            filled = re.sub(r"\{[^}]*\}", "digits", path.replace("{project}", "default"))
            for name, values in QUERY.items():
                for value in values:
                    answer = known.get(filled, params={"wait_s": "0"} | {name: value})
                    assert answer.status_code < 500, f"{filled} {name}={value}: {answer.text}"


@given(body=st.dictionaries(FIELDS, ODD, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_too_odd(known: httpx.Client, body: dict[str, Any]) -> None:
    for method, path in ROUTES:
        if method in ("POST", "PUT"):
            filled = re.sub(r"\{[^}]*\}", "digits", path.replace("{project}", "default"))
            answer = known.request(
                method, filled, content=_written(body), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code < 500, f"{method} {filled} {body}: {answer.text}"


def _written(body: dict[str, Any]) -> bytes:
    """*body* as a careless client writes it: with NaN, infinities and half characters."""
    return json.dumps(body).encode()

"""Around every request: ids, sizes, the log, and errors that nobody has foreseen."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter, Depends

from forebay.control.access import Access, Role
from forebay.control.hub import border
from forebay.control.hub.application import application
from forebay.control.hub.guard import allowed
from forebay.control.hub.routes import ROUTERS
from forebay.control.hub.services import HubLimits, Services
from forebay.control.store import Database, migrate
from forebay.core import Permission
from support.artifacts import register
from support.hub import RunningHub, served, services_over
from support.postgres import Cluster

DIGITS = "/api/v1/projects/default/deployments/digits"
SNAPSHOT = "/api/v1/nodes/n1/snapshot"


@contextmanager
def running(services: Services, *routers: APIRouter, **limits: int) -> Iterator[RunningHub]:
    app = application(services, "0.1.0", HubLimits(**limits), [*ROUTERS, *routers])
    with served(app) as url, RunningHub(url, services) as hub:
        yield hub


def exchange(hub: RunningHub, request: bytes, wait_s: float = 5) -> bytes:
    """What the hub answers to these very bytes, until it closes the connection or nothing more comes."""
    address = urlsplit(hub.url)
    received = b""
    with socket.create_connection((address.hostname, address.port)) as raw:
        raw.settimeout(wait_s)
        raw.sendall(request)
        while chunk := raw.recv(65536):
            received += chunk
    return received


def head_of(developer: httpx.Client, size_bytes: int) -> bytes:
    """The head of a deployment whose body is said to have *size_bytes*."""
    lines = [f"PUT {DIGITS} HTTP/1.1", "Host: hub", "Content-Type: application/json"]
    lines += [f"Content-Length: {size_bytes}", f"Authorization: {developer.headers['authorization']}"]
    return "\r\n".join([*lines, "", ""]).encode()


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:forebay:problem:{code}"
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def test_every_request_has_an_id(hub: RunningHub) -> None:
    client = hub.client()
    first, second = (client.get("/api/v1/health").headers["x-request-id"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second


def test_the_callers_own_id_is_kept_if_it_is_a_plain_one(hub: RunningHub) -> None:
    for given, kept in {"trace-7.a_B": True, "a" * 65: False, "a b": False, "ä": False}.items():
        answer = hub.client().get("/api/v1/me", headers=[(b"X-Request-Id", given.encode())])
        assert (answer.headers["x-request-id"] == given) == kept
        problem(answer, 401, "unauthenticated")


def test_what_is_not_there_is_a_problem_too(hub: RunningHub) -> None:
    lost = problem(hub.client().get("/api/v2/models"), 404, "not-found")
    assert lost["detail"] == "Not Found; GET /openapi.json lists what there is"
    answer = hub.client().post("/api/v1/health")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"


def test_a_body_that_cannot_be_read_is_malformed(hub: RunningHub, developer: httpx.Client) -> None:
    register(hub.services.registry, hub.services.blobs)
    endless_number = b'{"targets": [{"version": 1' + b"0" * 5000 + b"}]}"
    for body in (b"{", b"[" * 100_000, endless_number, b"\xff\xfe", b'"digits"', b"7"):
        answer = developer.put(DIGITS, content=body, headers={"Content-Type": "application/json"})
        problem(answer, 400, "malformed")
        assert developer.get(DIGITS).status_code == 404


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "announced"])
def test_a_body_that_is_too_large_is_refused(services: Services, streamed: bool) -> None:
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            sent.append(1)
            yield b" " * 10_000

    with running(services, body_bytes=50_000) as hub:
        content = endless() if streamed else b" " * 60_000
        answer = hub.holder(Role.DEVELOPER).put(
            DIGITS, content=content, headers={"Content-Type": "application/json"}
        )
    body = problem(answer, 413, "too-large")
    assert body["detail"] == "a body here may have at most 50,000 bytes"
    assert answer.headers["connection"] == "close"


def test_a_body_of_two_gigabytes_is_refused_before_it_arrives(
    hub: RunningHub, developer: httpx.Client
) -> None:
    answer = exchange(hub, head_of(developer, 2 << 30))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer


def test_a_body_that_stops_arriving_is_not_waited_for(
    hub: RunningHub, developer: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(border, "_PAUSE_S", 0.2)
    answer = exchange(hub, head_of(developer, 100) + b'{"targets"')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"nothing more of the body has arrived for 0.2 s" in answer
    assert b"urn:forebay:problem:slow" in answer


def test_what_nobody_has_foreseen_is_told_without_what_it_was(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    router = APIRouter(tags=["test"])

    @router.get("/broken", dependencies=[Depends(allowed(Permission.READ))])
    def broken() -> None:
        raise RuntimeError("the password is hunter2")

    with running(services, router) as hub:
        answer = hub.holder(Role.VIEWER).get("/broken", headers={"X-Request-Id": "find-me"})
    body = problem(answer, 500, "internal-error")
    assert body["detail"] == "something went wrong here; the log has the details"
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["GET /broken failed"]
    assert "hunter2" in caplog.text


def test_each_request_is_one_line_without_query_and_secrets(
    hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "forebay.hub.access")
    key, secret = hub.services.access.create_key("default", Role.DEVELOPER)
    hub.client(secret).get(
        "/api/v1/projects/default/models/a%0Ab?token=hunter2", headers={"X-Request-Id": "r1"}
    )
    while not (lines := [one.getMessage() for one in caplog.records if one.name == "forebay.hub.access"]):
        time.sleep(0.01)  # it is written after the answer
    assert re.fullmatch(
        rf"GET /api/v1/projects/default/models/a%0Ab 404 \d+\.\d ms key {key.id} id r1", "\n".join(lines)
    )


def test_a_database_that_is_locked_is_said_to_be_and_nothing_is_lost(
    services: Services, database: Database
) -> None:
    if not database.sqlite:
        pytest.skip("PostgreSQL locks rows, not itself")
    impatient = Database(database.url, wait_s=0.3)
    object.__setattr__(services.access, "_database", impatient)
    with running(services) as hub:
        admin = hub.holder(Role.OPERATOR)
        other = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused = admin.post("/api/v1/projects", json={"name": "lab"})
        assert admin.get("/api/v1/projects").status_code == 200
        other.execute("ROLLBACK")
        other.close()
        assert admin.post("/api/v1/projects", json={"name": "lab"}).status_code == 201
    body = problem(refused, 503, "not-ready")
    assert body["detail"] == "the database is locked or away; try again"
    assert refused.headers["retry-after"] == "1"
    impatient.close()


def test_a_hub_that_ends_has_written_when_keys_were_used(services: Services, database: Database) -> None:
    with running(services) as hub:
        mine = hub.holder(Role.VIEWER).get("/api/v1/me").json()["key_id"]
    assert Access(database).key("default", mine).used_at is not None


def test_a_database_that_goes_away_is_said_to_be_and_comes_back() -> None:
    cluster = Cluster()
    database = Database(cluster.url(cluster.create()), wait_s=1)
    migrate(database)
    with running(services_over(database)) as hub:
        admin, node = hub.holder(Role.OPERATOR), hub.holder(Role.NODE)
        known = node.get(SNAPSHOT).json()
        cluster.stop()
        refused = [admin.get("/api/v1/projects"), admin.post("/api/v1/projects", json={"name": "lab"})]
        assert hub.client().get("/api/v1/health").status_code == 200
        cluster.start()
        assert admin.post("/api/v1/projects", json={"name": "lab"}).status_code == 201
        admin.post("/api/v1/projects/default/keys", json={"role": "inference"})
        after = {"hub": known["hub"], "after": known["number"], "wait_s": 10}
        assert len(node.get(SNAPSHOT, params=after, timeout=20).json()["keys"]) > len(known["keys"])
    for answer in refused:
        assert problem(answer, 503, "not-ready")["detail"] == "the database is locked or away; try again"
        assert answer.headers["retry-after"] == "1"
    database.close()
    cluster.close()


def test_sixty_callers_at_once_are_all_served(hub: RunningHub, developer: httpx.Client) -> None:
    register(hub.services.registry, hub.services.blobs)
    headers = {"Authorization": developer.headers["authorization"]}

    async def ask_together() -> list[int]:
        async with httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=30) as client:
            asked = [client.put(DIGITS) if n % 6 == 0 else client.get("/api/v1/me") for n in range(60)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask_together()) == [200] * 60


@pytest.mark.parametrize("line", [b"X-Filler: ", b"GET /"], ids=["header", "path"])
def test_a_header_bomb_is_cut_off(hub: RunningHub, line: bytes) -> None:
    began_s = time.monotonic()
    try:
        answer = exchange(hub, b"GET /api/v1/health HTTP/1.1\r\n" + line + b"a" * 2_000_000)
    except ConnectionError:
        answer = b""  # cut off while we were still sending
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - began_s < 2
    assert hub.client().get("/api/v1/health").status_code == 200

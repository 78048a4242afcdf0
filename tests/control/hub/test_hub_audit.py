"""What the audit hears of requests: who, from where, what, and how it ended."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import httpx
import pytest

from forebay.control.access import Role
from forebay.core import new_key
from forebay.core.errors import NotReady
from support.hub import RunningHub

KEYS = "/api/v1/projects/default/keys"


def told(hub: RunningHub) -> list[tuple[str, str, str, str]]:
    """What stands in the audit of what came over HTTP, oldest first."""
    found = (entry for entry in hub.services.audit.all(None) if entry.origin)
    return [(entry.who, entry.action, entry.subject, entry.outcome) for entry in found]


def id_of(client: httpx.Client) -> str:
    return str(client.get("/api/v1/me").json()["key_id"])


def test_what_is_done_is_told_once_with_who_and_from_where(hub: RunningHub, admin: httpx.Client) -> None:
    made = admin.post(KEYS, json={"role": "inference", "name": "shop"}).json()
    admin.post("/api/v1/projects", json={"name": "lab"})
    who = id_of(admin)
    assert told(hub) == [
        (who, "key.created", made["id"], "done"),
        (who, "project.created", "lab", "done"),
    ]
    [key, project] = [entry for entry in hub.services.audit.all(None) if entry.origin]
    assert (key.origin, key.project, project.project) == ("127.0.0.1", "default", "lab")
    assert key.detail == {"role": "inference", "name": "shop", "scope": "{}"}


def test_what_is_only_read_is_not_told(hub: RunningHub, admin: httpx.Client) -> None:
    for path in (KEYS, "/api/v1/me", "/api/v1/projects", "/metrics", "/api/v1/audit"):
        assert admin.get(path).status_code == 200
    assert told(hub) == []


def test_what_is_refused_is_told_too(hub: RunningHub, developer: httpx.Client) -> None:
    who = id_of(developer)
    refused = [
        developer.post("/api/v1/projects", json={"name": "mine"}),
        developer.post(KEYS, json={"role": "operator"}),
        developer.post(KEYS, json={"role": "emperor"}),
        developer.delete(f"{KEYS}/nobody"),
        developer.get("/metrics"),
        developer.post("/api/v1/projects/attic/keys", json={"role": "inference"}),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 400, 404, 403, 404]
    assert told(hub) == [
        (who, "access.create_project", "projects", "refused"),
        (who, "access.create_key", "projects/default/keys", "refused"),
        (who, "access.create_key", "projects/default/keys", "refused"),
        (who, "access.revoke_key", "projects/default/keys/nobody", "refused"),
        (who, "monitor.metrics", "/metrics", "refused"),
        (who, "access.create_key", "projects/attic/keys", "refused"),
    ]
    assert [entry.detail["status"] for entry in hub.services.audit.all(None) if entry.origin] == [
        str(answer.status_code) for answer in refused
    ]


def test_a_stranger_is_told_of_and_cannot_fill_the_disk(hub: RunningHub) -> None:
    stranger = hub.client(new_key().secret)
    for _ in range(5):
        assert stranger.get(KEYS).status_code == 401
        assert stranger.get("/api/v1/nothing").status_code == 404
    assert told(hub) == [("", "access.list_keys", "projects/default/keys", "refused")]


def test_nodes_and_uploads_say_too_much_to_be_told_of(hub: RunningHub, node: httpx.Client) -> None:
    report = {"name": "n1", "url": "http://127.0.0.1:1", "release": "0.1.0", "snapshot": 1, "ready": True}
    assert node.post("/api/v1/nodes/n1/report", content=json.dumps(report)).status_code == 204
    assert told(hub) == []
    assert node.post(KEYS, json={"role": "inference"}).status_code == 403
    assert told(hub) == [(id_of(node), "access.create_key", "projects/default/keys", "refused")]


def test_a_project_called_blobs_is_told_of_like_any_other(hub: RunningHub, admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json={"name": "blobs"})
    assert admin.post("/api/v1/projects/blobs/keys", json={"role": "emperor"}).status_code == 400
    assert told(hub)[1:] == [(id_of(admin), "access.create_key", "projects/blobs/keys", "refused")]


def test_bytes_that_are_put_are_not_told_of_and_bytes_that_are_cleared_away_are(
    hub: RunningHub, admin: httpx.Client
) -> None:
    digest = sha256(b"bytes").hexdigest()
    assert admin.put(f"/api/v1/projects/default/blobs/{digest}", content=b"bytes").is_success
    assert told(hub) == []
    assert admin.post("/api/v1/blobs/collect").is_success
    assert [entry[1:] for entry in told(hub)] == [("blobs.collect_blobs_now", "blobs/collect", "done")]


def test_an_odd_path_is_told_as_it_is_and_breaks_nothing(hub: RunningHub, admin: httpx.Client) -> None:
    for odd in ("%00", "%F0%9F%92%A9", "%ff", "x" * 2000):
        assert admin.delete(f"{KEYS}/{odd}").status_code in (400, 404)
    assert [outcome for *_, outcome in told(hub)] == ["refused"] * 4
    assert hub.services.audit.verify().faults == []


def test_an_operator_verifies_it_and_others_do_not(hub: RunningHub, admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json={"name": "lab"})
    found = admin.get("/api/v1/audit/verification").json()
    assert found["faults"] == []
    assert admin.get("/api/v1/audit/verification", params={"known": found["head"]}).json()["faults"] == []
    assert admin.get("/api/v1/audit/verification", params={"known": "17"}).status_code == 400
    for role in (Role.OWNER, Role.DEVELOPER):
        assert hub.holder(role).get("/api/v1/audit/verification").status_code == 403


def test_it_is_exported_line_by_line_and_to_each_their_own(hub: RunningHub, admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json={"name": "lab"})
    owner = hub.holder(Role.OWNER, "lab")
    answer = owner.get("/api/v1/audit/export")
    assert answer.headers["content-type"] == "application/jsonl"
    assert {entry["project"] for entry in lines(answer)} == {"lab"}
    everything = lines(admin.get("/api/v1/audit/export"))
    assert [entry["number"] for entry in everything] == list(range(1, len(everything) + 1))
    assert {entry["project"] for entry in everything} == {"default", "lab"}
    assert owner.get("/api/v1/audit/export", params={"project": "default"}).status_code == 404
    assert hub.holder(Role.DEVELOPER, "lab").get("/api/v1/audit/export").status_code == 403


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_audit_that_cannot_be_written_is_said_in_the_log(
    hub: RunningHub,
    developer: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object) -> None:
        raise NotReady("the database is locked or away; try again")

    monkeypatch.setattr("forebay.control.access.audit.record_deed", away)
    assert developer.get("/metrics").status_code == 403
    assert "monitor.metrics 403 by key" in caplog.text
    assert "is not in the audit" in caplog.text

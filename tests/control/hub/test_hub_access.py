"""Projects and keys over HTTP."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from forebay.control.access import Role
from forebay.core import NodeReport
from support.hub import RunningHub

KEYS = "/api/v1/projects/default/keys"


def test_a_caller_learns_who_they_are_and_where_to_ask(hub: RunningHub) -> None:
    client = hub.holder(Role.DEVELOPER, models=["iris", "digits"])
    me = client.get("/api/v1/me").json()
    [key] = hub.services.access.keys("default")
    assert (me["key_id"], me["project"], me["inference_url"]) == (key.id, "default", None)
    assert me["permissions"] == ["deploy", "keys", "predict", "publish", "read", "usage"]
    assert me["models"] == ["digits", "iris"]
    hub.services.nodes.report(NodeReport("node-1", "http://127.0.0.1:8000", "0.1.0", 1, ready=True))
    assert client.get("/api/v1/me").json()["inference_url"] == "http://127.0.0.1:8000"


def test_a_key_is_made_used_listed_and_revoked(hub: RunningHub, admin: httpx.Client) -> None:
    asked = {"role": "inference", "name": "the shop's backend", "models": ["digits"]}
    answer = admin.post(KEYS, json=asked)
    assert answer.status_code == 201
    made = answer.json()
    scope = {"models", "actions", "protocols", "networks"}
    times = {"created_at", "expires_at", "rotated_at", "used_at"}
    assert set(made) == {"id", "secret", "name", "role", "project"} | scope | times
    assert made | asked == made
    assert made["created_at"].endswith("Z")
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert shown in admin.get(KEYS).json()["items"]
    holder = hub.client(made["secret"])
    assert holder.get("/api/v1/me").json()["key_id"] == made["id"]
    assert admin.delete(f"{KEYS}/{made['id']}").status_code == 204
    assert holder.get("/api/v1/me").status_code == 401
    assert shown not in admin.get(KEYS).json()["items"]
    assert admin.delete(f"{KEYS}/{made['id']}").status_code == 404


def test_secrets_are_shown_once(hub: RunningHub, admin: httpx.Client) -> None:
    made = admin.post(KEYS, json={"role": "node"}).json()
    pages = [admin.get(path).text for path in (KEYS, "/api/v1/me", "/metrics", "/openapi.json")]
    assert not any(made["secret"] in page for page in pages)


@pytest.mark.parametrize("role", ["operator", "owner", "admin", "coder", "observer", "node"])
def test_a_developer_cannot_make_or_revoke_a_key_that_may_do_more(hub: RunningHub, role: str) -> None:
    developer = hub.holder(Role.DEVELOPER)
    refused = developer.post(KEYS, json={"role": role})
    assert refused.status_code == 403
    assert f"a key of the role {role} may" in refused.json()["detail"]
    stronger, _ = hub.services.access.create_key("default", Role(role))
    assert developer.delete(f"{KEYS}/{stronger.id}").status_code == 403
    assert hub.services.access.key("default", stronger.id) == stronger


@pytest.mark.parametrize("models", [None, ["iris"], ["digits", "iris"]])
def test_a_key_for_some_models_hands_on_no_others(hub: RunningHub, models: list[str] | None) -> None:
    developer = hub.holder(Role.DEVELOPER, models=["digits"])
    refused = developer.post(KEYS, json={"role": "inference", "models": models})
    assert refused.status_code == 403
    assert "for the models digits only" in refused.json()["detail"]
    assert developer.post(KEYS, json={"role": "inference", "models": ["digits"]}).status_code == 201


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "role"),
        ({"role": "emperor"}, "'operator', 'owner', 'admin'"),
        ({"role": "inference", "model": "digits"}, "model: Extra inputs are not permitted"),
        ({"role": "inference", "models": []}, "leave it out to allow all models"),
        ({"role": "inference", "models": ["My Model"]}, "no model name"),
        ({"role": "inference", "actions": ["deploy"]}, "has no action 'deploy'"),
        ({"role": "inference", "protocols": ["smoke signals"]}, "there are api, "),
        ({"role": "inference", "networks": ["10.0.0.1/8"]}, "is no network"),
        ({"role": "inference", "expires_at": "2020-01-01T00:00:00Z"}, "has passed already"),
        ({"role": "inference", "expires_at": "2099-01-01T00:00:00"}, "timezone"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_a_sentence(
    admin: httpx.Client, body: dict[str, object], said: str
) -> None:
    answer = admin.post(KEYS, json=body)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_projects_are_made_by_administrators_and_seen_by_their_own(
    hub: RunningHub, admin: httpx.Client
) -> None:
    assert admin.post("/api/v1/projects", json={"name": "lab"}).status_code == 201
    assert admin.post("/api/v1/projects", json={"name": "lab"}).status_code == 409
    assert admin.post("/api/v1/projects", json={"name": "The Lab"}).status_code == 400
    assert [item["name"] for item in admin.get("/api/v1/projects").json()["items"]] == ["default", "lab"]
    developer = hub.holder(Role.DEVELOPER, "lab")
    assert [item["name"] for item in developer.get("/api/v1/projects").json()["items"]] == ["lab"]
    assert developer.post("/api/v1/projects", json={"name": "mine"}).status_code == 403


def test_an_administrator_acts_in_every_project(hub: RunningHub, admin: httpx.Client) -> None:
    hub.services.access.create_project("lab")
    made = admin.post("/api/v1/projects/lab/keys", json={"role": "developer"}).json()
    assert hub.client(made["secret"]).get("/api/v1/projects/lab/keys").json()["items"][0]["id"] == made["id"]


def test_a_key_is_rotated_without_a_refused_call(hub: RunningHub, admin: httpx.Client) -> None:
    made = admin.post(KEYS, json={"role": "developer", "name": "shop"}).json()
    fresh = admin.post(f"{KEYS}/{made['id']}/rotate", json={"overlap_s": 3600}).json()
    assert (fresh["id"], fresh["name"]) == (made["id"], "shop")
    assert fresh["secret"] != made["secret"]
    for secret in (made["secret"], fresh["secret"]):
        assert hub.client(secret).get("/api/v1/me").json()["key_id"] == made["id"]
    last = admin.post(f"{KEYS}/{made['id']}/rotate", json={"overlap_s": 0}).json()
    for secret in (made["secret"], fresh["secret"]):
        assert hub.client(secret).get("/api/v1/me").status_code == 401
    assert hub.client(last["secret"]).get("/api/v1/me").status_code == 200
    assert admin.post(f"{KEYS}/{made['id']}/rotate", json={"overlap_s": 1e9}).status_code == 400
    assert admin.post(f"{KEYS}/nobody/rotate", json={}).status_code == 404


@pytest.mark.parametrize("role", ["operator", "owner", "admin", "coder", "observer", "node"])
def test_a_developer_does_not_get_at_a_stronger_key_by_rotating_it(hub: RunningHub, role: str) -> None:
    stronger, secret = hub.services.access.create_key("default", Role(role))
    refused = hub.holder(Role.DEVELOPER).post(f"{KEYS}/{stronger.id}/rotate", json={"overlap_s": 0})
    assert refused.status_code == 403
    assert hub.client(secret).get("/api/v1/me").status_code == 200


def test_a_narrowed_key_is_refused_where_it_was_not_made_for(hub: RunningHub, admin: httpx.Client) -> None:
    for scope in ({"protocols": ["oip"]}, {"networks": ["10.0.0.0/8"]}):
        made = admin.post(KEYS, json={"role": "developer", **scope}).json()
        assert hub.client(made["secret"]).get("/api/v1/me").status_code == 403
    near = admin.post(
        KEYS, json={"role": "developer", "networks": ["127.0.0.0/8"], "actions": ["read"]}
    ).json()
    client = hub.client(near["secret"])
    assert client.get("/api/v1/me").json()["permissions"] == ["read"]
    assert client.get("/api/v1/projects/default/usage").status_code == 403


def test_a_key_that_a_node_has_seen_is_shown_as_used(
    hub: RunningHub, admin: httpx.Client, node: httpx.Client
) -> None:
    made = admin.post(KEYS, json={"role": "inference"}).json()
    used = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    report = NodeReport(
        "n1", "http://127.0.0.1:8000", "0.1.0", 1, ready=True, keys_used={made["id"]: used.timestamp()}
    )
    assert node.post("/api/v1/nodes/n1/report", content=msgspec.json.encode(report)).status_code == 204
    [shown] = [key for key in admin.get(KEYS).json()["items"] if key["id"] == made["id"]]
    assert shown["used_at"] == "2026-01-31T09:30:00Z"


def test_a_node_whose_key_is_revoked_hears_nothing_more(hub: RunningHub) -> None:
    record, secret = hub.services.access.create_key("default", Role.NODE)
    client = hub.client(secret)
    first = hub.services.deployments.snapshot()  # what the hub has published may be older than the key
    asked: dict[str, int | str] = {"after": first.number, "hub": first.hub, "wait_s": 20}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get, "/api/v1/nodes/n1/snapshot", params=asked, timeout=30)
        time.sleep(
            0.2
        )  # until it waits; were it too late, it would be refused at once, which is right as well
        hub.services.access.revoke_key("default", record.id)
        assert waiting.result().status_code == 401

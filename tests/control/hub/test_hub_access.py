"""Projects and keys over HTTP."""

from __future__ import annotations

import httpx
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
    assert me["permissions"] == ["deploy", "keys", "observe", "predict", "publish", "read", "usage"]
    assert me["models"] == ["digits", "iris"]
    hub.services.nodes.report(NodeReport("node-1", "http://127.0.0.1:8000", "0.1.0", 1, ready=True))
    assert client.get("/api/v1/me").json()["inference_url"] == "http://127.0.0.1:8000"


def test_a_key_is_made_used_listed_and_revoked(hub: RunningHub, admin: httpx.Client) -> None:
    asked = {"role": "inference", "name": "the shop's backend", "models": ["digits"]}
    answer = admin.post(KEYS, json=asked)
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == {"id", "secret", "name", "role", "project", "models", "created_at"}
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


@pytest.mark.parametrize("role", ["admin", "node"])
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
        ({"role": "emperor"}, "'admin', 'developer', 'coder', 'inference' or 'node'"),
        ({"role": "inference", "model": "digits"}, "model: Extra inputs are not permitted"),
        ({"role": "inference", "models": []}, "leave it out to allow all models"),
        ({"role": "inference", "models": ["My Model"]}, "no model name"),
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

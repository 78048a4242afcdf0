"""Deployments over HTTP, and how the nodes hear of them."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import msgspec
import pytest

from forebay.control.access import Role
from forebay.control.hub.application import application
from forebay.control.hub.services import Services
from forebay.control.registry import VersionRecord
from forebay.core import Limits, LoadState, NodeReport, Snapshot, Target
from support.artifacts import register
from support.hub import RunningHub, served

DIGITS = "/api/v1/projects/default/deployments/digits"
ALIASES = "/api/v1/projects/default/models/digits/aliases"
SNAPSHOT = "/api/v1/nodes/n1/snapshot"


@pytest.fixture(autouse=True)
def digits(hub: RunningHub) -> list[VersionRecord]:
    """Two versions of the model `digits`."""
    return [register(hub.services.registry, hub.services.blobs, job=job) for job in ("a", "b")]


def poll(node: httpx.Client, known: Snapshot | None = None, wait_s: float = 0) -> Snapshot | None:
    query: dict[str, Any] = {"wait_s": wait_s}
    if known is not None:
        query |= {"hub": known.hub, "after": known.number}
    answer = node.get(SNAPSHOT, params=query, timeout=wait_s + 5)
    if answer.status_code == 204:
        return None
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Snapshot)


def newest(node: httpx.Client) -> Snapshot:
    """The snapshot after which nothing more comes."""
    found = poll(node)
    while (newer := poll(node, found, wait_s=0.05)) is not None:
        found = newer
    assert found is not None
    return found


def report(node: httpx.Client, snapshot: int, **states: str) -> None:
    versions = tuple(LoadState("default", "digits", int(v[1:]), state) for v, state in states.items())
    said = NodeReport("n1", "http://127.0.0.1:8000", "0.1.0", snapshot, True, versions)
    assert node.post("/api/v1/nodes/n1/report", content=msgspec.json.encode(said)).status_code == 204


def test_a_model_is_deployed_by_its_name_alone(developer: httpx.Client) -> None:
    made = developer.put(DIGITS)
    assert made.status_code == 200
    shown = made.json()
    assert shown["targets"] == [{"version": 2, "alias": None, "weight": 1}]
    assert shown["limits"] == {"batch_rows": None, "wait_s": None, "queue_rows": None, "cache_bytes": None}
    assert (shown["ready"], shown["nodes"]) == (False, [])
    assert made.headers["etag"] == f'"{shown["revision"]}"'
    assert developer.get(DIGITS).json() == shown
    assert developer.get("/api/v1/projects/default/deployments").json() == {"items": [shown]}


def test_traffic_is_split_and_limits_are_set(developer: httpx.Client, node: httpx.Client) -> None:
    body = {
        "targets": [{"version": 1, "weight": 9}, {"version": 2}],
        "limits": {"batch_rows": 8, "wait_s": 0.01, "cache_bytes": 1 << 20},
    }
    assert developer.put(DIGITS, json=body).status_code == 200
    snapshot = newest(node)
    [deployment] = snapshot.deployments
    assert [(target.version, target.weight) for target in deployment.targets] == [(1, 9), (2, 1)]
    assert deployment.limits == Limits(batch_rows=8, wait_s=0.01, cache_bytes=1 << 20)


def test_what_cannot_be_is_refused_with_its_place(developer: httpx.Client) -> None:
    for body, status, sentence in (
        ('{"target": []}', 400, "target: Extra inputs are not permitted"),
        ('{"targets": [{"version": 1, "weight": 0}]}', 400, "targets.0.weight: Input should be greater than"),
        ('{"targets": [{"version": "1"}]}', 400, "targets.0.version: Input should be a valid integer"),
        ('{"targets": [{"version": 1}, {"version": 1}]}', 400, "version 1 is named twice"),
        ('{"targets": [{"version": 1, "alias": "x"}]}', 400, "a version or an alias, not both"),
        ('{"targets": [{"version": 3}]}', 404, "it has the versions 1 to 2"),
        ('{"targets": [{"alias": "champion"}]}', 404, "has no alias 'champion'"),
        ('{"limits": {"batch_row": 3}}', 400, "limits.batch_row: Extra inputs are not permitted"),
        ('{"limits": {"batch_rows": 9, "queue_rows": 3}}', 400, "would never be full"),
        ('{"limits": {"cache_bytes": -1}}', 400, "limits.cache_bytes: Input should be"),
        ('{"limits": {"wait_s": 1e999}}', 400, "limits.wait_s: Input should be"),
        ('{"limits": {"wait_s": NaN}}', 400, "limits.wait_s: Input should be"),
        ('"digits"', 400, "body: Input should be"),
    ):
        answer = developer.put(DIGITS, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, answer.text
        assert sentence in answer.json()["detail"]
        assert developer.get(DIGITS).status_code == 404


def test_of_two_who_deploy_at_once_one_is_told(developer: httpx.Client) -> None:
    tag = developer.put(DIGITS).headers["etag"]
    first = developer.put(DIGITS, json={"targets": [{"version": 1}]}, headers={"If-Match": tag})
    second = developer.put(DIGITS, json={"targets": [{"version": 2}]}, headers={"If-Match": tag})
    third = developer.put(DIGITS, json={"revision": first.json()["revision"]})
    assert [first.status_code, second.status_code, third.status_code] == [200, 409, 200]
    assert "somebody has deployed meanwhile" in second.json()["detail"]
    assert developer.put(DIGITS, headers={"If-Match": "*"}).status_code == 200
    assert developer.put(DIGITS, headers={"If-Match": "tag"}).status_code == 400
    assert developer.delete(DIGITS, headers={"If-Match": tag}).status_code == 409
    assert developer.delete(DIGITS).status_code == 204
    assert developer.put(DIGITS, json={"revision": 0}).status_code == 200


def test_it_is_ready_when_every_node_that_is_alive_answers(
    developer: httpx.Client, node: httpx.Client
) -> None:
    made = developer.put(DIGITS, json={"targets": [{"version": 1}, {"version": 2}]}).json()
    for snapshot, states, expected in [
        (made["snapshot"] - 1, {"v1": "ready", "v2": "ready"}, "behind"),
        (made["snapshot"], {"v1": "ready", "v2": "loading"}, "loading"),
        (made["snapshot"], {"v1": "ready", "v2": "ready"}, "ready"),
        (made["snapshot"], {"v1": "ready", "v2": "unloaded"}, "unloaded"),
    ]:
        report(node, snapshot, **states)
        shown = developer.get(DIGITS).json()
        assert [(one["node"], one["state"]) for one in shown["nodes"]] == [("n1", expected)]
        assert shown["ready"] == (expected in ("ready", "unloaded"))


def test_what_is_pinned_is_told_to_the_nodes_until_it_is_deployed_otherwise(
    developer: httpx.Client, node: httpx.Client
) -> None:
    assert developer.put(DIGITS, json={"pin": True}).json()["pin"] is True
    assert [deployment.pin for deployment in newest(node).deployments] == [True]
    assert developer.put(DIGITS).json()["pin"] is False
    assert [deployment.pin for deployment in newest(node).deployments] == [False]


def test_a_node_that_has_the_newest_snapshot_hears_nothing(node: httpx.Client) -> None:
    known = newest(node)
    assert poll(node, known) is None
    assert poll(node, msgspec.structs.replace(known, hub="another database")) == known


def test_a_waiting_node_hears_of_a_change_at_once(developer: httpx.Client, node: httpx.Client) -> None:
    took_s = []
    for _ in range(3):
        known = newest(node)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(poll, node, known, 20)
            time.sleep(0.1)
            developer.put(DIGITS)
            changed_s = time.monotonic()
            assert waiting.result() is not None
            took_s.append(time.monotonic() - changed_s)
    assert min(took_s) < 0.05


def test_a_revoked_key_and_a_moved_alias_are_changes_too(
    hub: RunningHub, developer: httpx.Client, node: httpx.Client
) -> None:
    developer.put(f"{ALIASES}/champion", json={"version": 1})
    developer.put(DIGITS, json={"targets": [{"alias": "champion"}]})
    before = newest(node)
    developer.put(f"{ALIASES}/champion", json={"version": 2})
    after = poll(node, before, wait_s=5)
    assert after is not None
    assert [target.version for target in after.deployments[0].targets] == [2]
    stranger = hub.services.access.create_key("default", Role.INFERENCE)[0]
    with_key = poll(node, after, wait_s=5)
    assert with_key is not None
    assert stranger.id in {grant.key_id for grant in with_key.keys}
    hub.services.access.revoke_key("default", stranger.id)
    without_key = poll(node, with_key, wait_s=5)
    assert without_key is not None
    assert stranger.id not in {grant.key_id for grant in without_key.keys}


def test_the_artifact_of_a_target_leads_to_its_files(
    developer: httpx.Client, node: httpx.Client, digits: list[VersionRecord]
) -> None:
    developer.put(DIGITS, json={"targets": [{"version": 1}]})
    snapshot = newest(node)
    assert snapshot.deployments[0].targets == (Target(1, digits[0].artifact),)
    manifest = node.get(f"/api/v1/artifacts/{digits[0].artifact}").content
    assert hashlib.sha256(manifest).hexdigest() == digits[0].artifact
    for file in msgspec.json.decode(manifest)["files"]:
        content = node.get(f"/api/v1/blobs/{file['sha256']}").content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert developer.get(f"/api/v1/artifacts/{digits[0].artifact}").status_code == 403


def test_hundreds_of_nodes_wait_while_others_are_served(
    hub: RunningHub, developer: httpx.Client, node: httpx.Client
) -> None:
    known = newest(node)
    query: dict[str, str | int] = {"hub": known.hub, "after": known.number, "wait_s": 30}
    headers = {"Authorization": node.headers["authorization"]}

    async def wait_together() -> list[int]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=hub.url, headers=headers, limits=limits, timeout=60) as client:
            waiting = [asyncio.create_task(client.get(SNAPSHOT, params=query)) for _ in range(200)]
            await asyncio.sleep(1)
            threads = threading.active_count()
            answer = await asyncio.to_thread(developer.put, DIGITS)
            assert answer.status_code == 200
            assert threads < 60, "nobody waits in a thread"
            return [answer.status_code for answer in await asyncio.gather(*waiting)]

    assert asyncio.run(wait_together()) == [200] * 200


def test_a_hub_that_stops_lets_waiting_nodes_go(services: Services) -> None:
    server = ExitStack()
    url = server.enter_context(served(application(services, "0.1.0")))
    with RunningHub(url, services) as hub, ThreadPoolExecutor(1) as pool:
        node = hub.holder(Role.NODE)
        waiting = pool.submit(poll, node, newest(node), 30)
        time.sleep(0.2)
        began_s = time.monotonic()
        server.close()
        assert waiting.result() is None
        assert time.monotonic() - began_s < 1.5

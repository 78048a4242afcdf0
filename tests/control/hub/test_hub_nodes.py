"""Nodes report, and are shown, over HTTP."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from forebay.control.access import Role
from forebay.core import LoadState, NodeReport
from support.hub import RunningHub

NODES = "/api/v1/nodes"


@pytest.fixture
def node(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.NODE)


def report(name: str = "node-1") -> NodeReport:
    versions = (
        LoadState("default", "digits", 1, "ready", memory_bytes=2_000_000),
        LoadState("lab", "iris", 2, "failed", "no memory"),
    )
    said = NodeReport(name, "http://127.0.0.1:8000", "0.1.0", 1, True, versions, 3)
    return msgspec.structs.replace(said, loaded_bytes=2_000_000, budget_bytes=8_000_000)


def send(node: httpx.Client, content: bytes, name: str = "node-1") -> httpx.Response:
    return node.post(f"{NODES}/{name}/report", content=content)


def test_a_node_that_reports_is_listed_alive(node: httpx.Client, admin: httpx.Client) -> None:
    assert send(node, msgspec.json.encode(report())).status_code == 204
    [shown] = admin.get(NODES).json()["items"]
    assert shown["name"] == "node-1"
    assert shown["alive"]
    assert shown["ready"]
    assert shown["silent_s"] < 5
    assert (shown["url"], shown["release"], shown["journal_behind"]) == ("http://127.0.0.1:8000", "0.1.0", 3)
    assert shown["versions"][1] == {
        "project": "lab",
        "model": "iris",
        "version": 2,
        "state": "failed",
        "error": "no memory",
        "memory_bytes": 0,
    }
    assert shown["versions"][0]["memory_bytes"] == 2_000_000
    assert (shown["loaded_bytes"], shown["budget_bytes"]) == (2_000_000, 8_000_000)


def test_a_developer_sees_the_nodes_but_not_what_they_serve_for_others(
    hub: RunningHub, node: httpx.Client
) -> None:
    send(node, msgspec.json.encode(report()))
    [shown] = hub.holder(Role.DEVELOPER).get(NODES).json()["items"]
    assert [version["project"] for version in shown["versions"]] == ["default"]
    [shown] = hub.holder(Role.OPERATOR).get(NODES).json()["items"]
    assert len(shown["versions"]) == 2
    assert node.get(NODES).status_code == 403


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b'{"name": "node-1"}', b"[" * 100_000, msgspec.json.encode(report("node-2"))],
)
def test_a_report_that_cannot_be_is_refused(node: httpx.Client, admin: httpx.Client, content: bytes) -> None:
    answer = send(node, content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["title"] == "Malformed request"
    assert admin.get(NODES).json() == {"items": []}


def test_a_node_that_will_not_come_back_is_removed_by_an_administrator(
    hub: RunningHub, node: httpx.Client, admin: httpx.Client
) -> None:
    send(node, msgspec.json.encode(report()))
    assert node.delete(f"{NODES}/node-1").status_code == 403
    assert hub.holder(Role.DEVELOPER).delete(f"{NODES}/node-1").status_code == 403
    assert admin.delete(f"{NODES}/node-1").status_code == 204
    assert admin.delete(f"{NODES}/node-1").status_code == 404
    assert admin.get(NODES).json() == {"items": []}

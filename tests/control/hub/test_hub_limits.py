"""Limits over HTTP: set by who may, told to the nodes at once, written in the audit."""

from __future__ import annotations

from http import HTTPStatus

import httpx
import pytest

from forebay.control.access import Role
from support.hub import RunningHub

LIMITS = "/api/v1/projects/default/limits"
ROWS = {"unit": "row", "amount": 5000, "period": "minute"}


@pytest.fixture
def owner(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.OWNER)


def test_a_limit_is_set_seen_replaced_and_removed(owner: httpx.Client) -> None:
    first = owner.put(LIMITS, json=ROWS).json()
    assert (first["unit"], first["amount"], first["period"]) == ("row", 5000, "minute")
    second = owner.put(LIMITS, json=ROWS | {"amount": 10}).json()
    assert second["id"] == first["id"]
    owner.put(LIMITS, json=ROWS | {"period": "day"})
    assert {one["amount"] for one in owner.get(LIMITS).json()["items"]} == {10, 5000}
    assert owner.delete(f"{LIMITS}/{second['id']}").status_code == HTTPStatus.NO_CONTENT
    assert [one["period"] for one in owner.get(LIMITS).json()["items"]] == ["day"]


def test_the_nodes_hear_of_it_with_the_next_snapshot(
    hub: RunningHub, owner: httpx.Client, node: httpx.Client
) -> None:
    before = hub.services.deployments.snapshot()
    found = owner.put(LIMITS, json=ROWS).json()
    after = node.get("/api/v1/nodes/n/snapshot", params={"after": before.number, "hub": before.hub})
    assert [limit["id"] for limit in after.json()["limits"]] == [found["id"]]


def test_permits_are_leased_to_workers_never_more_than_the_limit(
    owner: httpx.Client, node: httpx.Client
) -> None:
    limit = owner.put(LIMITS, json=ROWS).json()["id"]

    def lease(holder: str, held: int, more: int, number: int) -> int:
        body = {"holder": holder, "number": number, "limits": {limit: [held, more]}}
        answer = node.post("/api/v1/nodes/n/leases", json=body).json()
        share: int = answer["limits"][limit][0]
        return share

    assert lease("n/1", 0, 4000, 1) == 4000
    assert lease("n/2", 0, 4000, 1) == 1000
    assert lease("n/1", 3000, 0, 2) == 3000
    assert lease("n/2", 1000, 4000, 2) == 2000


def test_only_nodes_lease(owner: httpx.Client) -> None:
    body = {"holder": "n/1", "number": 1, "limits": {}}
    assert owner.post("/api/v1/nodes/n/leases", json=body).status_code == HTTPStatus.FORBIDDEN


def test_who_develops_sees_limits_and_sets_none(hub: RunningHub, developer: httpx.Client) -> None:
    assert developer.put(LIMITS, json=ROWS).status_code == HTTPStatus.FORBIDDEN
    assert developer.get(LIMITS).json() == {"items": []}
    assert hub.holder(Role.INFERENCE).get(LIMITS).status_code == HTTPStatus.FORBIDDEN


def test_what_an_operator_sets_the_project_cannot_lift(admin: httpx.Client, owner: httpx.Client) -> None:
    theirs = admin.put(LIMITS, json=ROWS).json()
    mine = owner.put(LIMITS, json=ROWS | {"amount": 9_000_000}).json()
    assert mine["id"] != theirs["id"]
    refused = owner.delete(f"{LIMITS}/{theirs['id']}")
    assert (refused.status_code, refused.json()["detail"]) == (
        HTTPStatus.FORBIDDEN,
        "an operator has set this limit, and only an operator removes it",
    )
    assert admin.delete(f"{LIMITS}/{theirs['id']}").status_code == HTTPStatus.NO_CONTENT


def test_the_audit_has_who_limited_what(owner: httpx.Client) -> None:
    found = owner.put(LIMITS, json=ROWS).json()
    owner.delete(f"{LIMITS}/{found['id']}")
    deeds = owner.get("/api/v1/audit").json()["items"]
    assert [(deed["action"], deed["detail"]["limit"]) for deed in deeds[:2]] == [
        ("limit.removed", "5000 rows a minute"),
        ("limit.set", "5000 rows a minute"),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (ROWS | {"unit": "joke"}, "cannot be limited"),
        (ROWS | {"period": "year"}, "by the second, minute, day"),
        (ROWS | {"amount": 0}, "from 1 on"),
        ({"unit": "concurrent", "amount": 2, "period": "day"}, "have no period"),
        (ROWS | {"model": "nothing"}, "no model"),
        (ROWS | {"key_id": "nobody"}, "no key"),
    ],
)
def test_a_limit_that_cannot_hold_says_why(owner: httpx.Client, body: dict[str, object], said: str) -> None:
    refused = owner.put(LIMITS, json=body)
    assert refused.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
    assert said in refused.json()["detail"]


def test_limits_of_another_project_are_not_there(hub: RunningHub, owner: httpx.Client) -> None:
    hub.services.access.create_project("other")
    stranger = hub.holder(Role.OWNER, "other")
    found = owner.put(LIMITS, json=ROWS).json()
    assert stranger.get(LIMITS).status_code == HTTPStatus.NOT_FOUND
    gone = stranger.delete(f"/api/v1/projects/other/limits/{found['id']}")
    assert gone.status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"[]",
        b"{}",
        b'{"holder": "", "number": 1, "limits": {}}',
        b'{"holder": "a\\u0000b", "number": 1, "limits": {}}',
        b'{"holder": "a", "number": -1, "limits": {}}',
        b'{"holder": "a", "number": 9223372036854775808, "limits": {}}',
        b'{"holder": "a", "number": 1, "limits": {"a\\u0000b": [0, 1]}}',
        b'{"holder": "a", "number": 1, "limits": {"a": [-1, 1]}}',
        b'{"holder": "a", "number": 1, "limits": {"a": [0, 9223372036854775808]}}',
    ],
)
def test_a_question_for_permits_that_cannot_be_is_refused(hub: RunningHub, rubbish: bytes) -> None:
    refused = hub.holder(Role.NODE).post("/api/v1/nodes/node-1/leases", content=rubbish)
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert "question for leases" in refused.json()["detail"]

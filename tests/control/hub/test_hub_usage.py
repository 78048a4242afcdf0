"""Shipments in, usage and prices out, over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import update
from sqlalchemy.event import listen

from forebay.control.access import Role
from forebay.control.billing.tables import BlockRow, LedgerRow
from forebay.control.store import Database
from forebay.core import Shipment, UsageEvent
from support.hub import RunningHub

USAGE = "/api/v1/projects/default/usage"
NOON_NS = 1_750_000_000_123_456_789


@pytest.fixture
def node(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.NODE)


def event(model: str = "digits", project: str = "default") -> UsageEvent:
    return UsageEvent(
        NOON_NS, project, "0a1b2c3d", model, 1, "oip", "infer", 8, 100, 50, 10, 1_500_000, 2_000_000, "r1"
    )


def ship(node: httpx.Client, *events: UsageEvent, first_seq: int = 0) -> httpx.Response:
    body = msgspec.msgpack.encode(Shipment.of("node-1-0-5f2a", first_seq, events))
    return node.post(
        "/api/v1/nodes/node-1/usage", content=body, headers={"Content-Type": "application/x-msgpack"}
    )


def test_what_a_node_ships_is_counted_once_and_priced(hub: RunningHub, node: httpx.Client) -> None:
    for _ in range(2):
        answer = ship(node, event(), event("iris"), event())
        assert (answer.status_code, answer.json()) == (200, {"next_seq": 3})
    usage = hub.holder(Role.DEVELOPER).get(USAGE).json()
    assert [(item["group"], item["requests"], item["rows"]) for item in usage["items"]] == [
        ("digits", 2, 16),
        ("iris", 1, 8),
    ]
    assert (usage["currency"], usage["plan"]) == ("EUR", "default")
    assert usage["total"]["compute_s"] == pytest.approx(0.0045)
    assert usage["total"]["cost"] == "0.0005409"
    assert usage["total"]["amount"] == "0.00"
    assert sum(Decimal(item["cost"]) for item in usage["items"]) == Decimal(usage["total"]["cost"])


@pytest.mark.parametrize(
    ("query", "groups"),
    [
        ({"by": "key"}, ["0a1b2c3d"]),
        ({"by": "version"}, ["digits:1"]),
        ({"by": "day"}, ["2025-06-15"]),
        ({"since": "2025-06-15T00:00:00Z", "until": "2025-06-16"}, ["digits"]),
        ({"since": "2025-06-15T17:06:41+02:00"}, []),
        ({"until": "2025-06-15"}, []),
    ],
)
def test_usage_is_cut_as_one_asks(
    node: httpx.Client, admin: httpx.Client, query: dict[str, str], groups: list[str]
) -> None:
    ship(node, event())
    usage = admin.get(USAGE, params=query).json()
    assert [item["group"] for item in usage["items"]] == groups
    assert usage["total"]["requests"] == len(groups)


@pytest.mark.parametrize("query", [{"by": "colour"}, {"since": "soon"}])
def test_an_unknown_cut_is_refused(admin: httpx.Client, query: dict[str, str]) -> None:
    answer = admin.get(USAGE, params=query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["detail"]


def test_the_ledger_can_be_read_page_by_page(node: httpx.Client, admin: httpx.Client) -> None:
    ship(node, event(), event(project="lab"), event())
    first = admin.get(f"{USAGE}/events", params={"limit": 1}).json()
    second = admin.get(f"{USAGE}/events", params={"after": first["after"]}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == ["node-1-0-5f2a-0", "node-1-0-5f2a-2"]
    assert second["items"][0]["time"] == "2025-06-15T15:06:40.123456Z"
    assert second["items"][0]["time_ns"] == NOON_NS
    assert second["items"][0]["request_id"] == "r1"
    assert admin.get(f"{USAGE}/events", params={"after": second["after"]}).json() == {
        "items": [],
        "after": second["after"],
    }


def test_the_ledger_can_be_verified(hub: RunningHub, node: httpx.Client, admin: httpx.Client) -> None:
    ship(node, event(), event("iris"))
    assert admin.get("/api/v1/usage/verification").json() == {"blocks": 1, "events": 2, "faults": []}
    with hub.services.database.write() as session:
        session.execute(update(BlockRow).values(payload=b"something else"))
    found = admin.get("/api/v1/usage/verification").json()
    assert "does not fit its seal" in found["faults"][0]
    assert hub.holder(Role.DEVELOPER).get("/api/v1/usage/verification").status_code == 403


def test_what_never_arrived_can_be_seen(hub: RunningHub, node: httpx.Client, admin: httpx.Client) -> None:
    assert ship(node, event(), first_seq=4).json() == {"next_seq": 5}
    [gap] = admin.get("/api/v1/usage/gaps").json()["items"]
    assert (gap["journal"], gap["node"], gap["first_seq"], gap["missing"]) == (
        "node-1-0-5f2a",
        "node-1",
        0,
        4,
    )
    assert "forebay_hub_missing_events 4.0" in admin.get("/metrics").text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"\xc1",
        msgspec.msgpack.encode({"journal": "j"}),
        msgspec.msgpack.encode(Shipment.of("", 0, [])),
    ],
)
def test_a_shipment_that_cannot_be_read_is_refused_and_nothing_is_kept(
    hub: RunningHub, node: httpx.Client, body: bytes
) -> None:
    answer = node.post("/api/v1/nodes/node-1/usage", content=body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:forebay:problem:malformed"
    assert hub.services.ledger.count() == 0


def be_impatient(database: Database) -> None:
    """Wait for locks only a tenth of a second from now on."""

    def prepare(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute("PRAGMA busy_timeout=100" if database.sqlite else "SET lock_timeout='100ms'")
        connection.commit()

    listen(database.engine, "checkout", prepare)


def test_a_shipment_waits_for_a_locked_database_and_then_counts_once(
    hub: RunningHub, node: httpx.Client
) -> None:
    database = hub.services.database
    be_impatient(database)
    with database.write() as session:
        session.execute(update(LedgerRow).values(events=LedgerRow.events))  # somebody holds the lock
        refused = ship(node, event())
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert "try again" in refused.json()["detail"]
    assert ship(node, event()).json() == {"next_seq": 1}
    assert hub.services.ledger.count() == 1


def test_only_nodes_ship(hub: RunningHub) -> None:
    assert ship(hub.holder(Role.DEVELOPER), event()).status_code == 403
    assert hub.services.ledger.count() == 0

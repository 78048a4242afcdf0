"""Plans over HTTP: made by those who bill, seen by everybody."""

from __future__ import annotations

import httpx
import pytest

from forebay.control.access import Role
from support.hub import RunningHub

TEAM = {
    "name": "team",
    "prices": [{"unit": "request", "tiers": [{"price": "0.01", "up_to": "1000"}, {"price": "0.005"}]}],
    "included": {"request": "100"},
    "fee": "9.00",
    "taxes": [{"name": "VAT", "share": "0.19"}],
}


def test_the_prices_are_no_secret(hub: RunningHub) -> None:
    [plan] = hub.holder(Role.INFERENCE).get("/api/v1/plans").json()["items"]
    assert (plan["name"], plan["version"], plan["currency"]) == ("default", 1, "EUR")
    assert [(price["unit"], price["tiers"][0]["price"]) for price in plan["prices"]] == [
        ("request", "0.0001"),
        ("row", "0.00001"),
        ("compute_second", "0.0002"),
    ]


def test_a_plan_is_made_chosen_and_previewed(admin: httpx.Client) -> None:
    made = admin.post("/api/v1/plans", json=TEAM)
    assert (made.status_code, made.json()["version"], made.json()["fee"]) == (201, 1, "9.00")
    assert made.json()["included"] == {"request": "100"}
    used = admin.post(
        "/api/v1/projects/default/plans", json={"plan": "team", "holds_from": "2026-01-01T01:00:00+01:00"}
    )
    assert used.json() == {"project": "default", "plan": "team", "holds_from": "2026-01-01T00:00:00Z"}
    assert admin.get("/api/v1/projects/default/plans").json()["items"] == [used.json()]
    [bill] = admin.get("/api/v1/projects/default/bills/2026-01").json()["items"]
    assert [(line["kind"], line["cost"]) for line in bill["lines"]] == [("fee", "9.00")]
    assert (bill["net"], bill["taxes"][0]["amount"], bill["total"]) == ("9.00", "1.71", "10.71")
    assert admin.get("/api/v1/projects/default/bills/2025-12").json()["items"] == []
    instead = admin.get("/api/v1/projects/default/bills/2025-12", params={"plan": "team"}).json()
    assert instead["items"] == [{**bill, "lines": [{**bill["lines"][0], "month": "2025-12"}]}]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"currency": "euro"}, "no currency"),
        ({"prices": [{"unit": "prayer", "tiers": [{"price": "1"}]}]}, "unit"),
        ({"fee": "nine"}, "fee"),
        ({"free": "9.00"}, "free"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(admin: httpx.Client, change: dict[str, object], why: str) -> None:
    refused = admin.post("/api/v1/plans", json={**TEAM, **change})
    assert refused.status_code == 400
    assert why in refused.json()["detail"]
    assert len(admin.get("/api/v1/plans").json()["items"]) == 1


def test_a_plan_that_there_is_not_is_named(admin: httpx.Client) -> None:
    for refused in (
        admin.post("/api/v1/projects/default/plans", json={"plan": "teem"}),
        admin.get("/api/v1/projects/default/bills/2026-01", params={"plan": "teem"}),
    ):
        assert refused.status_code == 404
        assert "'teem'" in refused.json()["detail"]


def test_only_those_who_bill_say_what_things_cost(developer: httpx.Client) -> None:
    assert developer.post("/api/v1/plans", json=TEAM).status_code == 403
    assert developer.post("/api/v1/projects/default/plans", json={"plan": "default"}).status_code == 403

"""Invoices over HTTP: as JSON, CSV and PDF, written by those who bill."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from forebay.core import Shipment, UsageEvent
from support.hub import RunningHub

INVOICES = "/api/v1/projects/default/invoices"
NOVEMBER_NS = int(datetime(2025, 11, 3, tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture
def used(hub: RunningHub, admin: httpx.Client) -> httpx.Client:
    event = UsageEvent(NOVEMBER_NS, "default", "k", "digits", 1, "oip", "infer", 1000, 1, 1, 0, 0, 0)
    hub.services.ledger.ingest("n", Shipment.of("j", 0, [event] * 100))
    return admin


def test_a_month_is_invoiced_and_shown_in_three_forms(used: httpx.Client) -> None:
    used.put("/api/v1/projects/default/billing-address", json={"address": "Ada Ltd\nMill Lane 2"})
    issued = used.post(INVOICES, json={"month": "2025-11"})
    assert issued.status_code == 201
    [invoice] = issued.json()["items"]
    assert (invoice["number"], invoice["total"], invoice["recipient"]) == (1, "1.01", "Ada Ltd\nMill Lane 2")
    assert used.get(f"{INVOICES}/1").json() == invoice
    assert used.get(INVOICES).json()["items"] == [invoice]
    table = used.get(f"{INVOICES}/1/csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert "1,EUR,usage,2025-11,default:1,digits,1,k,row,100000,0.00001,1," in table.text
    page = used.get(f"{INVOICES}/1/pdf")
    assert (page.headers["content-type"], page.content[:5]) == ("application/pdf", b"%PDF-")
    assert used.post(INVOICES, json={"month": "2025-11"}).status_code == 409


def test_an_invoice_is_taken_back_and_a_credit_used(used: httpx.Client) -> None:
    credit = {"amount": "0.50", "reason": "for the outage"}
    assert used.post("/api/v1/projects/default/credits", json=credit).status_code == 201
    [first] = used.post(INVOICES, json={"month": "2025-11"}).json()["items"]
    assert first["net"] == "0.51"
    counter = used.post(f"{INVOICES}/1/counter", json={"reason": "a mistake"}).json()
    assert (counter["number"], counter["counters"], counter["net"]) == (2, 1, "-0.51")
    assert [one["countered_by"] for one in used.get(INVOICES).json()["items"]] == [2, None]
    left = used.get("/api/v1/projects/default/credits").json()["items"]
    assert [(each["currency"], each["amount"]) for each in left] == [("EUR", "0.50")]


def test_only_those_who_bill_write_invoices(used: httpx.Client, developer: httpx.Client) -> None:
    assert developer.post(INVOICES, json={"month": "2025-11"}).status_code == 403
    used.post(INVOICES, json={"month": "2025-11"})
    assert developer.get(f"{INVOICES}/1").status_code == 200
    assert developer.get(f"{INVOICES}/2").status_code == 404

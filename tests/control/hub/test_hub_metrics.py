"""The hub's own metrics."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from forebay.control.access import Role
from forebay.core import NodeReport
from support.hub import RunningHub


def samples(client: httpx.Client) -> dict[tuple[str, str], float]:
    """Each sample by its name and its labels, written as `a=1,b=2`."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (
            sample.name,
            ",".join(f"{name}={sample.labels[name]}" for name in sorted(sample.labels)),
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_not_by_path(hub: RunningHub, admin: httpx.Client) -> None:
    for name in ("a", "b"):
        admin.delete(f"/api/v1/nodes/{name}")
    admin.get("/nowhere/a")
    admin.request("PROPFIND", "/nowhere/b")
    hub.client().get("/api/v1/me")
    found = samples(admin)
    requests = {
        labels: value for (name, labels), value in found.items() if name == "forebay_hub_requests_total"
    }
    assert requests["method=DELETE,route=/api/v1/nodes/{name},status=404"] == 2
    assert requests["method=GET,route=(none),status=404"] == 1
    assert requests["method=(other),route=(none),status=404"] == 1
    assert requests["method=GET,route=/api/v1/me,status=401"] == 1
    assert found["forebay_hub_request_seconds_count", "method=DELETE,route=/api/v1/nodes/{name}"] == 2
    assert found["forebay_hub_info", "release=0.1.0"] == 1


def test_the_page_shows_the_state_of_the_house(hub: RunningHub, admin: httpx.Client) -> None:
    hub.services.nodes.report(NodeReport("node-1", "http://127.0.0.1:8000", "0.1.0", 1, ready=True))
    found = samples(admin)
    assert found["forebay_hub_nodes", "state=alive"] == 1
    assert found["forebay_hub_nodes", "state=away"] == 0
    assert found["forebay_hub_jobs", "state=running"] == 2
    assert found["forebay_hub_ledger_events", ""] == 0
    before = found["forebay_hub_snapshot", ""]
    hub.services.access.create_key("default", Role.INFERENCE)
    assert samples(admin)["forebay_hub_snapshot", ""] == before + 1


def test_whoever_may_observe_reads_them(hub: RunningHub) -> None:
    for role in (Role.NODE, Role.OBSERVER, Role.OPERATOR):
        assert samples(hub.holder(role))
    for role in (Role.INFERENCE, Role.OWNER):  # they tell of other projects
        assert hub.holder(role).get("/metrics").status_code == 403

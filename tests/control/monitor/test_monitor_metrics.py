"""The page of metrics comes whatever happens to the parts."""

from __future__ import annotations

from collections.abc import Mapping

from forebay.control.monitor import HubMetrics, Level
from forebay.core.errors import NotReady


def away() -> Mapping[str, float]:
    raise NotReady("the database is locked or away; try again")


def test_a_part_that_is_away_is_left_out_and_counted() -> None:
    metrics = HubMetrics("0.1.0")
    levels = [
        Level("jobs", "Jobs.", away, "state"),
        Level("nodes", "Nodes.", lambda: {"alive": 2.0}, "state"),
    ]
    page = metrics.page(levels).decode()
    assert 'nodes{state="alive"} 2.0' in page
    assert "jobs{" not in page
    assert 'forebay_hub_unread_levels_total{level="jobs"} 1.0' in page


def test_two_hubs_in_one_process_do_not_mix() -> None:
    one, other = HubMetrics("0.1.0"), HubMetrics("0.1.0")
    one.answered("/api/v1/me", "GET", 200, 0.001)
    assert "/api/v1/me" in one.page().decode()
    assert "/api/v1/me" not in other.page().decode()


def test_a_level_without_a_label_is_one_number() -> None:
    page = HubMetrics("0.1.0").page([Level("snapshot", "Changes.", lambda: {"": 7.0})]).decode()
    assert "\nsnapshot 7.0\n" in page

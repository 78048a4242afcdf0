"""Nodes: who is alive, by the hub's clock, whatever that clock does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.control.deploy.nodes import Nodes
from forebay.control.deploy.sightings import Sightings
from forebay.control.store import Database, bump
from forebay.core import LoadState, NodeReport
from forebay.core.errors import Malformed, NotFound

NOON = datetime(2025, 6, 15, 12, tzinfo=UTC)


class Clocks:
    """A wall clock that can be set, and one that only goes on."""

    def __init__(self) -> None:
        self.wall = NOON
        self.steady_s = 100.0

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady_s += seconds

    def nodes(self, database: Database) -> Nodes:
        return Nodes(database, lambda: self.wall, lambda: self.steady_s)


def report(name: str = "node-1", *, snapshot: int = 1, ready: bool = True, time_ns: int = 0) -> NodeReport:
    versions = (LoadState("default", "digits", 1, "ready"),)
    return NodeReport(name, f"http://{name}:8000", "0.1.0", snapshot, ready, versions, 3, time_ns)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def nodes(database: Database, clocks: Clocks) -> Nodes:
    return clocks.nodes(database)


def alive(nodes: Nodes) -> list[str]:
    return [found.name for found in nodes.alive()]


def test_a_node_is_shown_as_it_reported(nodes: Nodes) -> None:
    nodes.report(report(snapshot=7))
    nodes.report(report(snapshot=8))
    [node] = nodes.list()
    assert node.report == report(snapshot=8)
    assert (node.heard_at, node.silent_s, node.alive, node.clock_ahead_s) == (NOON, 0.0, True, None)


def test_a_node_that_is_silent_for_ten_seconds_is_away_but_not_forgotten(
    nodes: Nodes, clocks: Clocks
) -> None:
    nodes.report(report("node-2"))
    nodes.report(report("node-1"))
    clocks.pass_by(9.9)
    nodes.report(report("node-1"))
    assert alive(nodes) == ["node-1", "node-2"]
    clocks.pass_by(0.2)
    assert alive(nodes) == ["node-1"]
    assert [(node.report.name, node.alive) for node in nodes.list()] == [("node-1", True), ("node-2", False)]


def test_another_hub_on_the_same_database_sees_the_same(database: Database, clocks: Clocks) -> None:
    here, there = clocks.nodes(database), clocks.nodes(database)
    for _ in range(3):
        here.report(report())
        clocks.pass_by(6)
        assert alive(there) == ["node-1"]
    clocks.pass_by(6)
    assert alive(there) == alive(here) == alive(clocks.nodes(database)) == []


def test_nobody_is_away_because_the_hubs_clock_jumped_forward(nodes: Nodes, clocks: Clocks) -> None:
    nodes.report(report())
    clocks.wall += timedelta(hours=3)
    assert alive(nodes) == ["node-1"]
    clocks.pass_by(11)
    assert alive(nodes) == []


def test_the_dead_do_not_live_on_because_the_hubs_clock_was_set_back(
    database: Database, nodes: Nodes, clocks: Clocks
) -> None:
    nodes.report(report())
    clocks.wall -= timedelta(hours=3)
    restarted = clocks.nodes(database)
    assert alive(nodes) == alive(restarted) == ["node-1"]
    clocks.pass_by(11)
    assert alive(nodes) == alive(restarted) == []
    nodes.report(report())
    assert alive(nodes) == alive(restarted) == ["node-1"]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["report", "jump", "pass"]), st.floats(-1e5, 1e5, allow_nan=False)),
        max_size=30,
    )
)
def test_whoever_watches_knows_the_silence_whatever_the_wall_clock_does(
    steps: list[tuple[str, float]],
) -> None:
    clocks, sightings = Clocks(), Sightings()
    stamp, heard_s = clocks.wall, clocks.steady_s
    sightings.silent_s("node", stamp, clocks.wall, clocks.steady_s)
    for step, seconds in steps:
        if step == "jump":
            clocks.wall += timedelta(seconds=seconds)
        elif step == "pass":
            clocks.pass_by(abs(seconds))
        else:
            stamp, heard_s = clocks.wall, clocks.steady_s
            sightings.heard("node", stamp, heard_s)
        silent_s = sightings.silent_s("node", stamp, clocks.wall, clocks.steady_s)
        assert silent_s == pytest.approx(clocks.steady_s - heard_s)


def test_a_node_that_has_not_heard_of_the_latest_changes_is_behind(database: Database, nodes: Nodes) -> None:
    nodes.report(report(snapshot=1))
    assert nodes.list()[0].behind == 0
    for _ in range(2):
        with database.write() as session:
            bump(session)
    assert nodes.list()[0].behind == 2


def test_a_node_whose_clock_is_wrong_is_told_apart(nodes: Nodes) -> None:
    nodes.report(report(time_ns=int(NOON.timestamp() + 90) * 10**9))
    assert nodes.list()[0].clock_ahead_s == pytest.approx(90)


def test_callers_are_sent_to_a_node_that_is_alive_and_best_to_one_that_is_ready(
    nodes: Nodes, clocks: Clocks
) -> None:
    assert nodes.inference_url() is None
    nodes.report(report("node-1", ready=False))
    assert nodes.inference_url() == "http://node-1:8000"
    nodes.report(report("node-2"))
    assert nodes.inference_url() == "http://node-2:8000"
    clocks.pass_by(11)
    assert nodes.inference_url() is None


def test_a_removed_node_is_back_with_its_next_report(nodes: Nodes) -> None:
    nodes.report(report())
    nodes.remove("node-1")
    assert nodes.list() == []
    with pytest.raises(NotFound, match="no node 'node-1'"):
        nodes.remove("node-1")
    nodes.report(report())
    assert alive(nodes) == ["node-1"]


def test_two_first_reports_at_once_are_one_node(database: Database) -> None:
    nodes = Nodes(database)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: nodes.report(report()), range(16)))
    assert alive(nodes) == ["node-1"]


@pytest.mark.parametrize("name", ["", "a/b", "-x", "x" * 254, "a b", "\n"])
def test_a_node_name_that_cannot_be_is_refused(nodes: Nodes, name: str) -> None:
    with pytest.raises(Malformed, match="no node name"):
        nodes.report(report(name))


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "http://", "http:// x", "node-1:8000"])
def test_an_address_that_cannot_be_is_refused(nodes: Nodes, url: str) -> None:
    with pytest.raises(Malformed, match="no address"):
        nodes.report(NodeReport("node-1", url, "0.1.0", 1, ready=True))

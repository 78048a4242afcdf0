"""The snapshot: all that a node has to know, of one moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from forebay.control.access import Access, KeyScope, Role
from forebay.control.billing import limits_for_nodes
from forebay.control.deploy import Deployments, Wish, node_states
from forebay.control.deploy.readiness import is_ready
from forebay.control.registry import Registry
from forebay.control.store import Database
from forebay.core import Limits, LoadState, NodeReport, Snapshot, Target


def test_a_new_hub_has_an_empty_snapshot(deployments: Deployments) -> None:
    snapshot = deployments.snapshot()
    assert (snapshot.number, snapshot.keys, snapshot.deployments) == (1, (), ())
    assert len(snapshot.hub) == 16


def test_a_snapshot_holds_keys_and_deployments(
    deployments: Deployments, registry: Registry, database: Database
) -> None:
    key, _ = Access(database).create_key("default", Role.INFERENCE, scope=KeyScope(models=("digits",)))
    deployments.put("default", "digits", [Wish(1, weight=3), Wish(2)], Limits(wait_s=0.5))
    snapshot = deployments.snapshot()
    one, two = registry.versions("default", "digits")
    assert [grant.key_id for grant in snapshot.keys] == [key.id]
    assert snapshot.deployments[0].targets == (Target(1, one.artifact, 3), Target(2, two.artifact))
    assert snapshot.deployments[0].limits == Limits(wait_s=0.5)
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot


def test_a_snapshot_is_read_once_a_change(deployments: Deployments) -> None:
    deployments.put("default", "digits")
    first = deployments.snapshot()
    assert deployments.snapshot() is first
    deployments.delete("default", "digits")
    second = deployments.snapshot()
    assert (second.number, second.deployments) == (first.number + 1, ())


def test_another_hub_on_the_database_sees_the_same(deployments: Deployments, database: Database) -> None:
    deployments.put("default", "digits")
    other = Database(database.url)
    access = Access(other)
    registry = Registry(other, blobs=None)  # type: ignore[arg-type]  # it registers nothing
    assert Deployments(other, registry, access.grants, limits_for_nodes).snapshot() == deployments.snapshot()
    other.close()


def test_aliases_that_come_to_name_one_version_share_a_target(
    deployments: Deployments, registry: Registry
) -> None:
    registry.set_alias("default", "digits", "champion", 1)
    registry.set_alias("default", "digits", "challenger", 2)
    deployments.put(
        "default", "digits", [Wish(alias="champion", weight=8), Wish(alias="challenger", weight=2)]
    )
    registry.set_alias("default", "digits", "champion", 2)
    targets = deployments.snapshot().deployments[0].targets
    assert [(target.version, target.weight) for target in targets] == [(2, 10)]


def test_numbers_only_grow_and_each_says_one_thing(deployments: Deployments) -> None:
    def deploy_and_look(number: int) -> list[Snapshot]:
        deployments.put("default", "digits", [Wish(number % 2 + 1, weight=number + 1)])
        return [deployments.snapshot() for _ in range(3)]

    with ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(deploy_and_look, range(18)))
    for three in seen:
        assert [one.number for one in three] == sorted(one.number for one in three)
    by_number: dict[int, Snapshot] = {}
    for snapshot in (one for three in seen for one in three):
        assert by_number.setdefault(snapshot.number, snapshot) == snapshot


@pytest.mark.parametrize(
    ("snapshot", "states", "expected"),
    [
        (0, {1: "ready", 2: "ready"}, "behind"),
        (9, {1: "ready", 2: "ready"}, "ready"),
        (9, {1: "ready", 2: "loading"}, "loading"),
        (9, {1: "ready", 2: "failed"}, "failed"),
        (9, {1: "ready", 2: "unloaded"}, "unloaded"),
        (9, {1: "ready"}, "fetching"),
        (9, {}, "fetching"),
    ],
)
def test_a_node_is_as_ready_as_its_slowest_version(
    deployments: Deployments, snapshot: int, states: dict[int, str], expected: str
) -> None:
    record = deployments.put("default", "digits", [Wish(1), Wish(2)])
    loaded = tuple(LoadState("default", "digits", version, state) for version, state in states.items())
    others = (LoadState("default", "prices", 1, "failed"), LoadState("other", "digits", 1, "failed"))
    report = NodeReport("n1", "http://127.0.0.1:8000", "0.1", snapshot, ready=True, versions=loaded + others)
    (found,) = node_states([record], [report])
    assert [(one.node, one.state, one.versions) for one in found] == [("n1", expected, loaded)]
    assert is_ready(found) == (expected in ("ready", "unloaded"))


def test_without_nodes_nothing_is_ready() -> None:
    assert not is_ready([])

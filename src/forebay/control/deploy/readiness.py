"""Whether a deployment answers: what the nodes that are alive say of its versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from forebay.control.deploy.records import DeploymentRecord
from forebay.core import LoadState, NodeReport

_WORST_FIRST = ("failed", "fetching", "loading", "unloaded", "ready")
_ANSWERS = {"unloaded", "ready"}
_Seen = dict[tuple[str, str], list[LoadState]]


class NodeState(msgspec.Struct, frozen=True):
    """One node's view of one deployment.

    `behind`: it has not seen the latest change yet; `failed`: a version cannot be loaded there, and why
    stands with it; `fetching`, `loading`: on the way; `ready`: it answers; `unloaded`: it has
    answered, made room for others, and the next request loads it again.
    """

    node: str
    state: str
    versions: tuple[LoadState, ...]


def node_states(
    records: Sequence[DeploymentRecord], alive: Iterable[NodeReport]
) -> list[tuple[NodeState, ...]]:
    """How far each of the nodes *alive* is with each of *records*, by name."""
    found = [(report, _by_model(report)) for report in sorted(alive, key=lambda report: report.name)]
    return [tuple(_state(record, report, seen) for report, seen in found) for record in records]


def is_ready(states: Iterable[NodeState]) -> bool:
    """Whether there are nodes, and all of them answer: each version has made a prediction there."""
    found = {state.state for state in states}
    return bool(found) and found <= _ANSWERS


def _by_model(report: NodeReport) -> _Seen:
    found: _Seen = defaultdict(list)
    for one in report.versions:
        found[one.project, one.model].append(one)
    return found


def _state(record: DeploymentRecord, report: NodeReport, said: _Seen) -> NodeState:
    wanted = {target.version for target in record.targets}
    seen = tuple(one for one in said.get((record.project, record.model), ()) if one.version in wanted)
    return NodeState(report.name, _summary(record, report, wanted, seen), seen)


def _summary(
    record: DeploymentRecord, report: NodeReport, wanted: set[int], seen: tuple[LoadState, ...]
) -> str:
    if report.snapshot < record.snapshot:
        return "behind"
    states = {one.state for one in seen}
    if {one.version for one in seen} != wanted:
        states.add("fetching")
    return next((state for state in _WORST_FIRST if state in states), "loading")

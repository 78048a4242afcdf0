"""Whether a deployment answers: what the nodes that are alive say of its versions."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from forebay.control.deploy.records import DeploymentRecord
from forebay.core import LoadState, NodeReport

_WORST_FIRST = ("failed", "fetching", "loading", "draining", "ready")


class NodeState(msgspec.Struct, frozen=True):
    """One node's view of one deployment.

    `behind`: it has not seen the latest change yet; `failed`: a version cannot be loaded there, and why
    stands with it; `fetching`, `loading`: on the way; `ready`: it answers.
    """

    node: str
    state: str
    versions: tuple[LoadState, ...]


def node_states(record: DeploymentRecord, alive: Iterable[NodeReport]) -> tuple[NodeState, ...]:
    """How far each of the nodes *alive* is with *record*, by name."""
    return tuple(_state(record, report) for report in sorted(alive, key=lambda report: report.name))


def is_ready(states: Iterable[NodeState]) -> bool:
    """Whether there are nodes, and all of them answer."""
    found = [state.state for state in states]
    return bool(found) and set(found) == {"ready"}


def _state(record: DeploymentRecord, report: NodeReport) -> NodeState:
    wanted = {target.version for target in record.targets}
    ours = (record.project, record.model)
    seen = tuple(one for one in report.versions if (one.project, one.model) == ours and one.version in wanted)
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

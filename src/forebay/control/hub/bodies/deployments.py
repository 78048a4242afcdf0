"""Deployments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.deploy import DeploymentRecord, NodeState, Wish, is_ready
from forebay.control.hub.bodies.base import Asked, Told
from forebay.core import Limits

_LOAD: JsonDict = {
    "project": "default",
    "model": "digits",
    "version": 1,
    "state": "ready",
    "error": "",
    "memory_bytes": 1_310_720,
}
_DEPLOYMENT: JsonDict = {
    "project": "default",
    "model": "digits",
    "targets": [{"version": 1, "alias": "champion", "weight": 1}],
    "limits": {"batch_rows": 32, "wait_s": 0.002, "queue_rows": 4096, "cache_bytes": 1 << 24},
    "pin": False,
    "revision": 17,
    "snapshot": 17,
    "created_at": "2026-11-22T09:30:00Z",
    "updated_at": "2026-11-22T09:30:00Z",
    "nodes": [{"node": "n1", "state": "ready", "versions": [_LOAD]}],
    "ready": True,
    "notes": [],
}


class TargetBody(Asked):
    """A version to answer with, by number or by an alias to follow, and its share of the traffic."""

    version: int | None = Field(default=None, ge=1, strict=True)
    alias: str | None = None
    weight: int = Field(default=1, ge=1, strict=True)

    def wish(self) -> Wish:
        """As the room takes it."""
        return Wish(self.version, self.alias, self.weight)


class LimitsBody(Asked):
    """How a lane may work; what is left out is the node's own setting; no answers are kept unless told."""

    batch_rows: int | None = Field(default=None, ge=1, strict=True)
    wait_s: float | None = Field(default=None, ge=0, le=60)
    queue_rows: int | None = Field(default=None, ge=1, strict=True)
    cache_bytes: int | None = Field(
        default=None,
        ge=0,
        strict=True,
        description="Memory for answers to questions that come again, of each version on each node process.",
    )

    def limits(self) -> Limits:
        """As the room takes it."""
        return Limits(self.batch_rows, self.wait_s, self.queue_rows, self.cache_bytes)


class DeploymentBody(Asked):
    """What a model is to answer with: without targets, its newest version.

    What is pinned stays in the memory of every node, whatever else wants the room.
    With a `revision`, only if nobody has deployed since (0: if nothing is deployed yet).
    With `override`, a reason, the gate's refusal is written down and passed by.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{}, {"targets": [{"version": 1}], "limits": {"batch_rows": 32, "wait_s": 0.002}}]
        }
    )

    targets: list[TargetBody] = Field(default_factory=list)
    limits: LimitsBody = LimitsBody()
    pin: bool = Field(default=False, strict=True)
    revision: int | None = Field(default=None, ge=0, strict=True)
    override: str | None = None


class TargetAnswer(Told):
    """A version that answers, the alias it follows if it does, and its share."""

    version: int
    alias: str | None
    weight: int


class LimitsAnswer(Told):
    """How a lane may work; null leaves the node's own setting."""

    batch_rows: int | None
    wait_s: float | None
    queue_rows: int | None
    cache_bytes: int | None


class LoadAnswer(Told):
    """How far one version is on one node."""

    project: str
    model: str
    version: int
    state: str
    error: str
    memory_bytes: int


class NodeStateAnswer(Told):
    """How far one node is: `behind`, `fetching`, `loading`, `failed`, `unloaded` or `ready`."""

    node: str
    state: str
    versions: list[LoadAnswer]


class DeploymentAnswer(Told):
    """What a model answers with, and whether every node that is alive has answered with it already.

    `notes` has a sentence for each version that answers although it does not prove what the model keeps.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_DEPLOYMENT]})

    project: str
    model: str
    targets: list[TargetAnswer]
    limits: LimitsAnswer
    pin: bool
    revision: int
    snapshot: int
    created_at: datetime
    updated_at: datetime
    nodes: list[NodeStateAnswer]
    ready: bool
    notes: list[str]

    @classmethod
    def of(
        cls, record: DeploymentRecord, states: tuple[NodeState, ...], notes: Sequence[str]
    ) -> DeploymentAnswer:
        """As the API shows *record*."""
        return cls(
            project=record.project,
            model=record.model,
            targets=[TargetAnswer.model_validate(target) for target in record.targets],
            limits=LimitsAnswer.model_validate(record.limits),
            pin=record.pin,
            revision=record.revision,
            snapshot=record.snapshot,
            created_at=record.created_at,
            updated_at=record.updated_at,
            nodes=[NodeStateAnswer.model_validate(state) for state in states],
            ready=is_ready(states),
            notes=list(notes),
        )


class DeploymentList(Told):
    """The deployments of a project, by model."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_DEPLOYMENT]}]})

    items: list[DeploymentAnswer]

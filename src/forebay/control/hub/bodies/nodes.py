"""Nodes: what they report, and how they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.deploy import NodeRecord
from forebay.control.hub.bodies.base import Told
from forebay.core import LoadState

_VERSION: JsonDict = {
    "project": "default",
    "model": "digits",
    "version": 1,
    "state": "ready",
    "error": "",
    "memory_bytes": 1_310_720,
}

_MACHINE: JsonDict = {
    "architecture": "x86_64",
    "features": ["avx2", "avx512f", "avx512_vnni"],
    "packages": {"onnxruntime": "1.24.1", "python": "3.13.1"},
}

REPORT: dict[str, Any] = {
    "name": "node-1",
    "url": "http://127.0.0.1:8000",
    "release": "0.1.0",
    "snapshot": 7,
    "ready": True,
    "versions": [{name: value for name, value in _VERSION.items() if value}],
    "journal_behind": 3,
    "time_ns": 1_769_851_800_123_456_789,
    "loaded_bytes": 1_310_720,
    "budget_bytes": 8_589_934_592,
    "machine": _MACHINE,
}
"""A `NodeReport` for the documentation."""
LEASE_ASK: dict[str, Any] = {"holder": "node-1/5f2a", "number": 7, "limits": {"3f9a1c2d4e5b": [120, 40]}}
"""A `LeaseAsk`: of that limit 120 permits are held, and 40 more are wanted."""
LEASES: dict[str, Any] = {"ttl_s": 30.0, "limits": {"3f9a1c2d4e5b": [160, 4840, 5000]}}
"""A `LeaseAnswer`: the share, what is free, and the most that should be kept."""


class MachineAnswer(Told):
    """The kind of machine that a node computes on: what evidence measured elsewhere is compared with."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MACHINE]})

    architecture: str
    features: list[str]
    packages: dict[str, str]


class LoadedVersion(Told):
    """How far a version is on a node: fetching, loading, ready, unloaded or failed (see `error`).

    `memory_bytes` is what it takes of the node's memory now. One that is unloaded has answered before and
    made room for others; its next request loads it again.
    """

    project: str
    model: str
    version: int
    state: str
    error: str
    memory_bytes: int

    model_config = ConfigDict(json_schema_extra={"examples": [_VERSION]})


class Node(Told):
    """A node. It is alive if it reported within the last ten seconds.

    `behind` counts the changes that it has not heard of; `journal_behind` the usage events that it has
    still to ship; `clock_ahead_s` is how far its clock was ahead of the hub's. Of the memory that it may
    fill with models, `budget_bytes`, `loaded_bytes` are filled.
    """

    name: str = Field(examples=["node-1"])
    url: str = Field(examples=["http://127.0.0.1:8000"])
    release: str = Field(examples=["0.1.0"])
    alive: bool
    ready: bool
    snapshot: int = Field(examples=[7])
    behind: int = Field(examples=[0])
    journal_behind: int = Field(examples=[3])
    heard_at: datetime = Field(examples=["2026-01-31T09:30:00Z"])
    silent_s: float = Field(examples=[1.2])
    clock_ahead_s: float | None = Field(examples=[0.004])
    loaded_bytes: int = Field(examples=[1_310_720])
    budget_bytes: int = Field(examples=[8_589_934_592])
    machine: MachineAnswer | None = Field(examples=[_MACHINE])
    versions: list[LoadedVersion]

    @classmethod
    def of(cls, record: NodeRecord, versions: list[LoadState]) -> Node:
        """The node that *record* describes, with those of its *versions* that the caller may see."""
        report = record.report
        return cls(
            name=report.name,
            url=report.url,
            release=report.release,
            alive=record.alive,
            ready=report.ready,
            snapshot=report.snapshot,
            behind=record.behind,
            journal_behind=report.journal_behind,
            heard_at=record.heard_at,
            silent_s=round(record.silent_s, 3),
            clock_ahead_s=None if record.clock_ahead_s is None else round(record.clock_ahead_s, 3),
            loaded_bytes=report.loaded_bytes,
            budget_bytes=report.budget_bytes,
            machine=None if report.machine is None else MachineAnswer.model_validate(report.machine),
            versions=[LoadedVersion.model_validate(version) for version in versions],
        )


class NodeList(Told):
    """Every node, those included that are away."""

    items: list[Node]


class Expected(Told):
    """The sequence number that the hub expects next of this journal; everything before it is safe."""

    next_seq: int = Field(examples=[20])

"""What the registry answers with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from forebay.control.registry.proof import Promised
from forebay.core import ArtifactInfo, Manifest


class VersionRecord(msgspec.Struct, frozen=True):
    """One version, with everything that was said about it. `lineage` and `evidence` are plain JSON values."""

    project: str
    model: str
    version: int
    artifact: str
    manifest: Manifest
    info: ArtifactInfo
    card: str
    lineage: dict[str, Any]
    evidence: list[dict[str, Any]]
    aliases: tuple[str, ...]
    job_id: str
    created_at: datetime
    retired_at: datetime | None

    @property
    def state(self) -> str:
        """`active`, or `retired`: then it answers nothing any more, and its files may be gone."""
        return "active" if self.retired_at is None else "retired"


class AliasRecord(msgspec.Struct, frozen=True):
    """A movable name, and the version it names now; a `protected` one moves only through the gate."""

    name: str
    version: int
    updated_at: datetime
    protected: bool = False


class KeepRecord(msgspec.Struct, frozen=True):
    """What a model keeps: promises relative to the version `reference`, proved on the rows of `data`.

    `data` is a digest, empty until the first proof. `protected` names the aliases that it guards.
    """

    project: str
    model: str
    promises: tuple[Promised, ...]
    data: str
    reference: int
    protected: tuple[str, ...]
    set_by: str
    set_at: datetime


class ModelRecord(msgspec.Struct, frozen=True):
    """A model: `latest` is its newest active version, None if all are retired."""

    project: str
    name: str
    latest: int | None
    versions: int
    task: str
    aliases: tuple[AliasRecord, ...]
    created_at: datetime

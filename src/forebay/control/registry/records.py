"""What the registry answers with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

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
    """A movable name, and the version it names now."""

    name: str
    version: int
    updated_at: datetime


class ModelRecord(msgspec.Struct, frozen=True):
    """A model: `latest` is its newest active version, None if all are retired."""

    project: str
    name: str
    latest: int | None
    versions: int
    task: str
    aliases: tuple[AliasRecord, ...]
    created_at: datetime

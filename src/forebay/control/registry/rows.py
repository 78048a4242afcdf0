"""From rows to records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from forebay.control.registry.proof import Promised
from forebay.control.registry.records import AliasRecord, KeepRecord, ModelRecord, VersionRecord
from forebay.control.registry.tables import AliasRow, KeepRow, ModelRow, VersionRow
from forebay.core import ArtifactInfo, Manifest
from forebay.core.errors import Malformed


def alias_record(row: AliasRow) -> AliasRecord:
    return AliasRecord(row.name, row.version, row.updated_at, row.protected)


def keep_record(row: KeepRow, aliases: Iterable[AliasRow]) -> KeepRecord:
    """*aliases* are those of the model."""
    return KeepRecord(
        project=row.project,
        model=row.model,
        promises=msgspec.json.decode(row.promises, type=tuple[Promised, ...]),
        data=row.data,
        reference=row.reference,
        protected=tuple(sorted(alias.name for alias in aliases if alias.protected)),
        set_by=row.set_by,
        set_at=row.set_at,
    )


def version_record(row: VersionRow, aliases: Iterable[AliasRow]) -> VersionRecord:
    """*aliases* are those of the model."""
    return VersionRecord(
        project=row.project,
        model=row.model,
        version=row.version,
        artifact=row.artifact,
        manifest=Manifest.decode(row.manifest.encode()),
        info=ArtifactInfo.decode(row.info.encode()),
        card=row.card,
        lineage=json.loads(row.lineage),
        evidence=json.loads(row.evidence),
        aliases=tuple(sorted(alias.name for alias in aliases if alias.version == row.version)),
        job_id=row.job_id,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )


def model_record(row: ModelRow, newest: VersionRow | None, aliases: Iterable[AliasRow]) -> ModelRecord:
    """*newest* is its newest active version, *aliases* are all of its own."""
    return ModelRecord(
        project=row.project,
        name=row.name,
        latest=None if newest is None else newest.version,
        versions=row.last_version,
        task="" if newest is None else ArtifactInfo.decode(newest.info.encode()).task,
        aliases=tuple(alias_record(alias) for alias in sorted(aliases, key=lambda alias: alias.name)),
        created_at=row.created_at,
    )


def as_json(value: Any, what: str) -> str:
    """*value* as JSON text; raises `Malformed` for what JSON does not have, such as NaN."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Malformed(f"the {what} cannot be written as JSON: {error}") from error

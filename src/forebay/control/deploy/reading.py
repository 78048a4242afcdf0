"""From rows to deployments, with every alias followed to the version it names now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from forebay.control.deploy.records import DeployedVersion, DeploymentRecord
from forebay.control.deploy.tables import DeploymentRow, TargetRow
from forebay.control.registry.tables import AliasRow, VersionRow
from forebay.core import Deployment, Limits, Target


def read_deployments(
    session: Session, project: str | None = None, model: str | None = None
) -> list[DeploymentRecord]:
    """The deployments of everybody, of *project*, or of its *model* alone, by project and model."""
    deployments, targets = select(DeploymentRow), _followed_targets()
    if project is not None:
        deployments = deployments.where(DeploymentRow.project == project)
        targets = targets.where(TargetRow.project == project)
    if model is not None:
        deployments = deployments.where(DeploymentRow.model == model)
        targets = targets.where(TargetRow.model == model)
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in session.execute(targets.order_by(TargetRow.place)):
        found[row.project, row.model].append(row)
    rows = sorted(session.scalars(deployments), key=lambda row: (row.project, row.model))
    return [_record(row, found[row.project, row.model]) for row in rows]


def read_aliases(session: Session) -> dict[tuple[str, str], dict[str, int]]:
    """The version that each alias names, by project and model."""
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in session.scalars(select(AliasRow).order_by(AliasRow.name)):
        found[row.project, row.model][row.name] = row.version
    return found


def for_nodes(record: DeploymentRecord, aliases: Mapping[str, int]) -> Deployment:
    """What a node has to know of *record*; aliases that have come to name one version share its target."""
    weights: dict[tuple[int, str], int] = defaultdict(int)
    for target in record.targets:
        weights[target.version, target.artifact] += target.weight
    targets = tuple(Target(version, artifact, weight) for (version, artifact), weight in weights.items())
    deployed = {target.version for target in targets}
    named = {name: version for name, version in aliases.items() if version in deployed}
    return Deployment(record.project, record.model, targets, record.limits, record.pin, named)


def _followed_targets() -> Any:
    """Each target with the version it means now, and the number of the change that made it mean that."""
    alias = and_(_of_one_model(AliasRow), AliasRow.name == TargetRow.alias)
    version = and_(
        _of_one_model(VersionRow), VersionRow.version == func.coalesce(TargetRow.version, AliasRow.version)
    )
    columns = (TargetRow.project, TargetRow.model, TargetRow.alias, TargetRow.weight)
    meant = (VersionRow.version, VersionRow.artifact, func.coalesce(AliasRow.snapshot, 0).label("moved"))
    return (
        select(*columns, *meant).select_from(TargetRow).outerjoin(AliasRow, alias).join(VersionRow, version)
    )


def _of_one_model(table: type[AliasRow | VersionRow]) -> ColumnElement[bool]:
    return and_(table.project == TargetRow.project, table.model == TargetRow.model)


def _record(row: DeploymentRow, targets: list[Any]) -> DeploymentRecord:
    return DeploymentRecord(
        project=row.project,
        model=row.model,
        targets=tuple(DeployedVersion(one.version, one.artifact, one.weight, one.alias) for one in targets),
        limits=msgspec.json.decode(row.limits, type=Limits),
        pin=row.pin,
        revision=row.revision,
        snapshot=max([row.revision, *(one.moved for one in targets)]),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

"""The rows of `control/registry`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from forebay.control.store import Base


class ModelRow(Base):
    """A name in a project. `last_version` counts, so that numbers are never given twice."""

    __tablename__ = "models"

    project: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    last_version: Mapped[int]
    created_at: Mapped[datetime]


class VersionRow(Base):
    """An immutable artifact of a model. `manifest`, `info`, `lineage` and `evidence` hold JSON."""

    __tablename__ = "versions"
    __table_args__ = (ForeignKeyConstraint(["project", "model"], ["models.project", "models.name"]),)

    project: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    artifact: Mapped[str] = mapped_column(index=True)
    manifest: Mapped[str]
    info: Mapped[str]
    card: Mapped[str]
    lineage: Mapped[str]
    evidence: Mapped[str]
    job_id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class AliasRow(Base):
    """A movable name for a version; `snapshot` is the number of the change that moved it here.

    One that is `protected` moves only to versions that pass the gate.
    """

    __tablename__ = "aliases"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "model", "version"], ["versions.project", "versions.model", "versions.version"]
        ),
    )

    project: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    snapshot: Mapped[int]
    protected: Mapped[bool]
    updated_at: Mapped[datetime]


class KeepRow(Base):
    """What a model promises to keep against its version `reference`, on the rows with the digest `data`.

    `promises` holds JSON; `data` is empty until a first proof says it.
    """

    __tablename__ = "keeps"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "model", "reference"], ["versions.project", "versions.model", "versions.version"]
        ),
    )

    project: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    promises: Mapped[str]
    data: Mapped[str]
    reference: Mapped[int]
    set_by: Mapped[str]
    set_at: Mapped[datetime]

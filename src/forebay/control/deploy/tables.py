"""The rows of `control/deploy`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from forebay.control.store import Base


class NodeRow(Base):
    """What a node last said of itself (a `NodeReport` in JSON), and when, by the hub's clock."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(primary_key=True)
    report: Mapped[str]
    heard_at: Mapped[datetime]


class DeploymentRow(Base):
    """What a model answers with. `revision`, the snapshot number of its last change, never comes twice."""

    __tablename__ = "deployments"
    __table_args__ = (ForeignKeyConstraint(["project", "model"], ["models.project", "models.name"]),)

    project: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    limits: Mapped[str]
    pin: Mapped[bool]
    revision: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TargetRow(Base):
    """One version behind a deployment: named by its number, or by an alias that it follows."""

    __tablename__ = "deployment_targets"
    __table_args__ = (
        ForeignKeyConstraint(["project", "model"], ["deployments.project", "deployments.model"]),
        ForeignKeyConstraint(
            ["project", "model", "version"], ["versions.project", "versions.model", "versions.version"]
        ),
        ForeignKeyConstraint(
            ["project", "model", "alias"], ["aliases.project", "aliases.model", "aliases.name"]
        ),
        CheckConstraint("(version IS NULL) <> (alias IS NULL)", name="named_once"),
    )

    project: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int | None]
    alias: Mapped[str | None]
    weight: Mapped[int]

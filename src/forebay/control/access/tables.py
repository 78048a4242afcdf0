"""The rows of `control/access`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from forebay.control.store import Base


class ProjectRow(Base):
    """A tenant."""

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


class KeyRow(Base):
    """A key, known by the SHA-256 of its secret. Revoked ones stay, so that the ledger can name them."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

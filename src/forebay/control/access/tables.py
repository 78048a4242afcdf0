"""The rows of `control/access`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from forebay.control.store import Base


class ProjectRow(Base):
    """A tenant."""

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


class KeyRow(Base):
    """A key; `scope` is a `KeyScope` in JSON. Revoked ones stay, so that the ledger can name them."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    scope: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SecretRow(Base):
    """A secret of a key, known by its SHA-256; one that was rotated out is good until `until`."""

    __tablename__ = "key_secrets"

    digest: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("keys.id"), index=True)
    made_at: Mapped[datetime]
    until: Mapped[datetime | None]

"""Who did what: written in the transaction of the deed, by every room, and only ever appended to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from forebay.control.store.base import Base


class AuditRow(Base):
    """One deed. `detail` holds JSON; the database refuses to change or delete a row."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_project", "project", "number"),)

    number: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime]
    project: Mapped[str]
    key_id: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str]


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did: *action* as `room.past-participle`, *subject* as the thing's own name."""

    project: str
    key_id: str
    action: str
    subject: str
    detail: Mapping[str, str] = field(default_factory=dict)


def record_deed(session: Session, deed: Deed) -> None:
    """Write *deed* down: with the transaction that does it, or not at all."""
    session.add(
        AuditRow(
            time=datetime.now(UTC),
            project=deed.project,
            key_id=deed.key_id,
            action=deed.action,
            subject=deed.subject,
            detail=json.dumps(dict(deed.detail)),
        )
    )

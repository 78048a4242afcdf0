"""Reading who did what. Every room writes it itself, with `forebay.control.store.record_deed`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from forebay.control.store import AuditRow, Database


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed: the key with *key_id* did *action* to *subject*; *detail* says why, and against what."""

    number: int
    time: datetime
    project: str
    key_id: str
    action: str
    subject: str
    detail: dict[str, str]


class Audit:
    """The deeds of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, project: str | None, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """At most *limit* deeds in *project* (None: anywhere), the newest first, from below *before* on."""
        wanted = select(AuditRow).order_by(AuditRow.number.desc()).limit(limit)
        if project is not None:
            wanted = wanted.where(AuditRow.project == project)
        if before is not None:
            wanted = wanted.where(AuditRow.number < before)
        with self._database.read() as session:
            return [_entry(row) for row in session.scalars(wanted)]


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        row.number, row.time, row.project, row.key_id, row.action, row.subject, json.loads(row.detail)
    )

"""When keys were last used: noted in memory, and written now and then, so that no request waits for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import or_, update

from forebay.control.access.tables import KeyRow
from forebay.control.store import Database


class LastUse:
    """Any thread may note and write; what a crash takes with it is what was not written yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}

    def note(self, used: Mapping[str, float]) -> None:
        """Each key was used then (Unix time)."""
        with self._lock:
            for key_id, time_s in used.items():
                self._noted[key_id] = max(time_s, self._noted.get(key_id, 0.0))

    def of(self, key_id: str, written: datetime | None) -> datetime | None:
        """When the key was last used, of which *written* is known to the database."""
        time_s = self._noted.get(key_id)
        if time_s is None:
            return written
        noted = datetime.fromtimestamp(time_s, UTC)
        return noted if written is None else max(noted, written)

    def write(self) -> None:
        """Write down what was noted; raises `NotReady`, and then it waits for the next time."""
        with self._lock:
            noted = dict(self._noted)
        if not noted:
            return
        with self._database.write() as session:
            for key_id, time_s in sorted(noted.items()):
                when = datetime.fromtimestamp(time_s, UTC)
                earlier = or_(KeyRow.used_at.is_(None), KeyRow.used_at < when)
                session.execute(update(KeyRow).where(KeyRow.id == key_id, earlier).values(used_at=when))
        with self._lock:
            for key_id, time_s in noted.items():
                if self._noted.get(key_id) == time_s:
                    del self._noted[key_id]

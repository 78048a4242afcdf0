"""When keys were last used: kept to the minute, and never at the cost of a request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import or_, update

from forebay.control.access.tables import KeyRow
from forebay.control.store import Database

_EVERY_S = 60.0
_MOST = 10_000


class LastUse:
    """Remembers what is written already, so that a busy key costs one write a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._written: dict[str, float] = {}

    def note(self, used: Mapping[str, float]) -> None:
        """Keep when each key was used (Unix time); raises `NotReady`."""
        news = self._news(used)
        if not news:
            return
        with self._database.write() as session:
            for key_id, time_s in sorted(news.items()):
                when = datetime.fromtimestamp(time_s, UTC)
                earlier = or_(KeyRow.used_at.is_(None), KeyRow.used_at < when)
                session.execute(update(KeyRow).where(KeyRow.id == key_id, earlier).values(used_at=when))

    def _news(self, used: Mapping[str, float]) -> dict[str, float]:
        with self._lock:
            if len(self._written) > _MOST:
                self._written.clear()
            news = {
                key_id: time_s
                for key_id, time_s in used.items()
                if time_s - self._written.get(key_id, 0.0) >= _EVERY_S
            }
            self._written.update(news)
        return news

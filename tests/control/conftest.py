"""A database with its tables, for every room of the control plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from forebay.control.access.tables import ProjectRow
from forebay.control.billing import DEFAULT_PLAN
from forebay.control.billing.tables import LedgerRow, PlanRow
from forebay.control.store import Base, Database
from forebay.control.store.changes import HubState


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty hub's database, on SQLite and on PostgreSQL."""
    found = Database(database_url)
    Base.metadata.create_all(found.engine)
    with found.write() as session:
        session.add_all(
            [
                HubState(),
                ProjectRow(name="default", created_at=datetime.now(UTC)),
                LedgerRow(id=1, events=0),
                PlanRow(**asdict(DEFAULT_PLAN)),
            ]
        )
    yield found
    found.close()

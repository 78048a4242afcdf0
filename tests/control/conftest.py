"""A database as a hub makes it, for every room of the control plane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forebay.control.store import Database, migrate


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A new hub's database, on SQLite and on PostgreSQL."""
    found = Database(database_url)
    migrate(found)
    yield found
    found.close()

"""A database as a hub makes it, for every room of the control plane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forebay.control.store import Database


@pytest.fixture
def database(hub_database_url: str) -> Iterator[Database]:
    """A new hub's database, on SQLite and on PostgreSQL."""
    found = Database(hub_database_url)
    yield found
    found.close()

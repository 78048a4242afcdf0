"""A database as a hub makes it, for every room of the control plane."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay.control.store import Database, migrate
from support.postgres import Cluster


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new hub's database, migrated once and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "hub.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: Cluster) -> str:
    """As `sqlite_template`: the name of a database in the cluster."""
    name = postgres.create()
    _migrated(postgres.url(name))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new hub's database, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "hub.db")
        found = Database(f"sqlite:///{path}")
        yield found
        found.close()
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    name = cluster.create(request.getfixturevalue("postgres_template"))
    found = Database(cluster.url(name))
    yield found
    found.close()
    cluster.drop(name)


def _migrated(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()

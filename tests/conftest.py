"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.instance import Instance
from support.postgres import Cluster


def pytest_configure() -> None:
    """Tests know no setting of whoever runs them."""
    for name in [name for name in os.environ if name.startswith("FOREBAY_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of this test session's own (one per worker when tests run in parallel)."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture
def forebay_up(tmp_path: Path) -> Iterator[Instance]:
    """A running hub and node on SQLite."""
    yield from _running(Instance(tmp_path / "home"))


@pytest.fixture
def forebay_up_on(database_url: str, tmp_path: Path) -> Iterator[Instance]:
    """A running hub and node; the test runs once on SQLite and once on PostgreSQL."""
    yield from _running(Instance(tmp_path / "home", database_url=database_url))


def _running(instance: Instance) -> Iterator[Instance]:
    instance.up()
    yield instance
    instance.down()

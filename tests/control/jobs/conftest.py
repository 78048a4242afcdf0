"""Where jobs are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay.control.jobs import Jobs
from forebay.control.store import Database, migrate
from support.postgres import Cluster
from support.toy_jobs import jobs_at_work

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="module", params=BOTH)
def jobs_and_folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Jobs, Path]]:
    """Jobs at work, for all tests of a module: an engine takes a second to begin, and one to end."""
    home = tmp_path_factory.mktemp("home")
    if request.param == "sqlite":
        database, system_url = Database(f"sqlite:///{home / 'hub.db'}"), f"sqlite:///{home / 'jobs.db'}"
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        system_url = cluster.url(cluster.create())
        database = Database(system_url)
    migrate(database)
    with jobs_at_work(database, system_url, home / "jobs") as jobs:
        yield jobs, home / "jobs"
    database.close()


@pytest.fixture
def system_url(database: Database, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.db'}" if database.sqlite else database.url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "jobs"

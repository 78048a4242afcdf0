"""What every test may ask for."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from forebay.control.store import Database, migrate
from support.instance import Instance
from support.postgres import Cluster

_PATIENT = [HealthCheck.too_slow]  # a busy machine is no mistake in the code
settings.register_profile("thorough", deadline=None, suppress_health_check=_PATIENT)
settings.register_profile("quick", deadline=None, max_examples=20, suppress_health_check=_PATIENT)
settings.register_profile("endless", deadline=None, max_examples=10_000, suppress_health_check=_PATIENT)
settings.load_profile("thorough")

BOTH = ["sqlite", "postgresql"]
WHOLE = {"forebay_up", "forebay_up_on", "shared_forebay"}


def pytest_configure() -> None:
    """Tests know no setting of whoever runs them, and hear Ctrl-C even when started with `&`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("FOREBAY_")]:
        del os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the twins on PostgreSQL, and what starts whole processes, wherever that comes from."""
    for item in items:
        if WHOLE & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        params = getattr(getattr(item, "callspec", None), "params", {})
        if any(isinstance(value, str) and value == "postgresql" for value in params.values()):
            item.add_marker(pytest.mark.postgresql)


@pytest.fixture(autouse=True)
def same_logging() -> Iterator[None]:
    """No test, and nothing that it calls, turns off what this process logs afterwards."""
    root = logging.getLogger()
    before = (root.level, root.manager.disable, root.filters[:], [each.level for each in root.handlers])
    yield
    after = (root.level, root.manager.disable, root.filters[:], [each.level for each in root.handlers])
    if after != before:
        root.level, root.manager.disable, root.filters, levels = before
        root.setLevel(before[0])  # forgets what the loggers below had worked out
        for handler, level in zip(root.handlers, levels, strict=False):
            handler.setLevel(level)
        pytest.fail(f"logging was {before} and is left as {after}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of this test session's own (one per worker when tests run in parallel)."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def hub_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new hub's SQLite database, to be copied."""
    file = tmp_path_factory.mktemp("template") / "hub.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def hub_template(postgres: Cluster) -> str:
    """A new hub's PostgreSQL database, to be copied."""
    name = postgres.create()
    _migrate(postgres.url(name))
    return name


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
    else:
        yield from _created(request.getfixturevalue("postgres"), "template0")


@pytest.fixture(params=BOTH)
def hub_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new hub's database, tables and all; once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("hub_file"), tmp_path / "hub.db")
        yield f"sqlite:///{tmp_path / 'hub.db'}"
    else:
        yield from _created(request.getfixturevalue("postgres"), request.getfixturevalue("hub_template"))


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


def _created(cluster: Cluster, template: str) -> Iterator[str]:
    name = cluster.create(template)
    yield cluster.url(name)
    cluster.drop(name)


def _migrate(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()

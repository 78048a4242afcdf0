"""One running Forebay for all tests of a module, once a database: start-up costs seconds, tests do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.instance import Instance
from support.postgres import Cluster


def shared_on(database: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Instance]:
    """A hub and a node on `sqlite` or `postgresql`, until the module's tests are over."""
    if database == "sqlite":
        instance = Instance(folder / "home")
        instance.up()
        yield instance
        instance.down()
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    name = cluster.create()
    instance = Instance(folder / "home", database_url=cluster.url(name))
    instance.up()
    yield instance
    instance.down()
    cluster.drop(name)

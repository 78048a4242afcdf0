"""A hub over real rooms, asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest

from forebay.control.access import Access, Role
from forebay.control.billing import Ledger
from forebay.control.deploy import Deployments, Nodes
from forebay.control.hub.application import application
from forebay.control.hub.services import Services
from forebay.control.registry import Registry
from forebay.control.store import Database, MemoryBlobs
from support.hub import RunningHub, served


class NoJobs:
    def list(self, _project: str) -> list[Any]:
        return []

    def counts(self) -> dict[str, float]:
        return {"running": 2, "queued": 0}


@pytest.fixture
def services(database: Database) -> Services:
    access = Access(database)
    blobs = MemoryBlobs()
    registry = Registry(database, blobs)
    return Services(
        database=database,
        blobs=blobs,
        access=access,
        registry=registry,
        deployments=Deployments(database, registry, access.grants),
        nodes=Nodes(database),
        ledger=Ledger(database),
        jobs=cast("Any", NoJobs()),
    )


@pytest.fixture
def hub(services: Services) -> Iterator[RunningHub]:
    with served(application(services, "0.1.0")) as url, RunningHub(url, services) as found:
        yield found


@pytest.fixture
def admin(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.ADMIN)


@pytest.fixture
def developer(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.DEVELOPER)


@pytest.fixture
def node(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.NODE)

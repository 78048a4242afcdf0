"""A hub over real rooms, asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from forebay.control.access import Role
from forebay.control.hub.application import application
from forebay.control.hub.services import Services
from forebay.control.store import Database
from support.hub import RunningHub, served, services_over


@pytest.fixture
def services(database: Database) -> Services:
    return services_over(database)


@pytest.fixture
def hub(services: Services) -> Iterator[RunningHub]:
    with served(application(services, "0.1.0")) as url, RunningHub(url, services) as found:
        yield found


@pytest.fixture
def admin(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.OPERATOR)


@pytest.fixture
def developer(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.DEVELOPER)


@pytest.fixture
def node(hub: RunningHub) -> httpx.Client:
    return hub.holder(Role.NODE)

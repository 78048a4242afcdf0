"""What the client's tests may ask for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from support.instance import Instance
from support.sharing import shared_on


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found: int = probe.getsockname()[1]
        return found

    return find


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_forebay(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Instance]:
    """A running hub and node that the tests of a module share; each uses names of its own."""
    yield from shared_on(request.param, request, tmp_path_factory.mktemp("shared"))

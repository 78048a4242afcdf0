"""What the command line's tests may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.instance import Instance
from support.sharing import shared_on


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_forebay(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Instance]:
    """A running hub and node that the tests of a module share; each uses names of its own."""
    yield from shared_on(request.param, request, tmp_path_factory.mktemp("shared"))

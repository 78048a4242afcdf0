"""Quick on a busy machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sklearn.ensemble  # noqa: F401 (its native libraries have to be there to be limited)

from forebay.workshop.convert.threads import threads_for


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The tests fit small models, each on one thread."""
    with threads_for(0):
        yield

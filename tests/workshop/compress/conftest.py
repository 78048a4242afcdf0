"""Models that every test of this room may use, taught once."""

from __future__ import annotations

from pathlib import Path

import pytest

from forebay.workshop.compress.drafts import Source
from support.compressing import trained


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A network of dense layers for digits."""
    return trained(Path(tmp_path_factory.mktemp("dense")) / "source", "dense")


@pytest.fixture(scope="session")
def convolutional(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A network of convolutions for digits."""
    return trained(Path(tmp_path_factory.mktemp("convolutional")) / "source", "convolutional")

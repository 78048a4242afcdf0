"""A registry, and artifacts to register."""

from __future__ import annotations

import pytest

from forebay.control.registry import Registry
from forebay.control.store import Blobs, Database, MemoryBlobs


@pytest.fixture
def blobs() -> Blobs:
    return MemoryBlobs()


@pytest.fixture
def registry(database: Database, blobs: Blobs) -> Registry:
    return Registry(database, blobs)

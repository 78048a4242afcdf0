"""A registry with two versions, and the deployments over it."""

from __future__ import annotations

import pytest

from forebay.control.access import Access
from forebay.control.billing import limits_for_nodes
from forebay.control.deploy import Deployments
from forebay.control.registry import Registry
from forebay.control.store import Database, MemoryBlobs
from support.artifacts import register


@pytest.fixture
def registry(database: Database) -> Registry:
    """The model `digits` with the versions 1 and 2."""
    blobs = MemoryBlobs()
    registry = Registry(database, blobs)
    for job in ("a", "b"):
        register(registry, blobs, job=job)
    return registry


@pytest.fixture
def deployments(database: Database, registry: Registry) -> Deployments:
    return Deployments(database, registry, Access(database).grants, limits_for_nodes)

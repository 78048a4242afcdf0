"""What tests of a node share."""

from __future__ import annotations

import pytest

from forebay.core import Key
from support.nodes import Running


@pytest.fixture
def key(node: Running) -> Key:
    """A key of a caller that the file's own node knows."""
    key = node.prepared.key()
    node.apply(node.prepared.snapshot())
    return key

"""What a deployment is asked to be, and what it is."""

from __future__ import annotations

from datetime import datetime

import msgspec

from forebay.core import Limits


class Wish(msgspec.Struct, frozen=True):
    """A version to deploy, named by its number, by an alias to follow, or, with neither, as the newest."""

    version: int | None = None
    alias: str | None = None
    weight: int = 1


class DeployedVersion(msgspec.Struct, frozen=True):
    """One version behind a deployment now; `alias` is the one it is followed by."""

    version: int
    artifact: str
    weight: int
    alias: str | None = None


class DeploymentRecord(msgspec.Struct, frozen=True):
    """What a model answers with.

    `revision` changes whenever somebody deploys, and only then. `snapshot` is the number of the first
    snapshot that says what stands here: a later one than `revision` when an alias has moved since.
    """

    project: str
    model: str
    targets: tuple[DeployedVersion, ...]
    limits: Limits
    pin: bool
    revision: int
    snapshot: int
    created_at: datetime
    updated_at: datetime

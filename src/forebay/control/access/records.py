"""Projects and keys, as they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project, as it is shown."""

    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key, as it is shown: everything but its secret.

    `used_at` is what this hub has seen, and, of what other hubs have, half a minute old.
    """

    id: str
    name: str
    role: str
    project: str
    models: tuple[str, ...] | None
    actions: tuple[str, ...] | None
    protocols: tuple[str, ...] | None
    networks: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    rotated_at: datetime | None
    used_at: datetime | None

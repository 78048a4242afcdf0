"""What a node has to know, numbered."""

from __future__ import annotations

import msgspec

from forebay.core.bounds import Bounds
from forebay.core.limits import CallLimit
from forebay.core.machine import MachineKind
from forebay.core.principal import Permission, Principal


class KeyGrant(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the holder of one key may do. The key itself is known only by its digest."""

    digest: str
    key_id: str
    project: str
    permissions: frozenset[Permission]
    bounds: Bounds | None = None

    def principal(self) -> Principal:
        """The caller that this key names."""
        return Principal(self.key_id, self.project, self.permissions, self.bounds)


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a lane may work; None leaves the node's own setting, and keeps no answers."""

    batch_rows: int | None = None
    wait_s: float | None = None
    queue_rows: int | None = None
    cache_bytes: int | None = None


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version behind a deployment, and its share of the traffic."""

    version: int
    artifact: str
    weight: int = 1


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model name answers with; what is pinned never leaves a node's memory.

    `aliases` are those of the model that name one of its targets' versions now.
    """

    project: str
    model: str
    targets: tuple[Target, ...]
    limits: Limits = Limits()
    pin: bool = False
    aliases: dict[str, int] = {}


class Snapshot(msgspec.Struct, frozen=True):
    """Everything a node serves from. `number` grows with every change; 0 is before the first.

    `hub` identifies the database: numbers of different databases do not compare.
    """

    hub: str
    number: int
    keys: tuple[KeyGrant, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    limits: tuple[CallLimit, ...] = ()


class LoadState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one version is on one node: `fetching`, `loading`, `ready`, `unloaded` or `failed`.

    One that is `unloaded` has answered before, and its next request loads it again. `memory_bytes` is
    what it takes of the node's memory now, as it was measured.
    """

    project: str
    model: str
    version: int
    state: str
    error: str = ""
    memory_bytes: int = 0


class NodeReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node tells the hub about itself: `loaded_bytes` of its `budget_bytes` hold models.

    `machine` is the kind of machine that it computes on; None if it did not say. `keys_used` are the keys
    that were shown to it since it last told, and when (Unix time).
    """

    name: str
    url: str
    release: str
    snapshot: int
    ready: bool
    versions: tuple[LoadState, ...] = ()
    journal_behind: int = 0
    time_ns: int = 0
    loaded_bytes: int = 0
    budget_bytes: int = 0
    machine: MachineKind | None = None
    keys_used: dict[str, float] = {}

"""What the hub answers, typed. A field that this client does not know is passed over."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from forebay.client.evidence import compression_in
from forebay.client.leaderboard import ranking
from forebay.client.shown import Listing, Shown
from forebay.core import FileEntry, Signature

T = TypeVar("T")


class Items(msgspec.Struct, Generic[T]):
    """The envelope of every list."""

    items: list[T]


class Me(Shown, frozen=True):
    """Who the key names, and where predictions are answered (None while no node is alive)."""

    key_id: str
    project: str
    permissions: list[str]
    models: list[str] | None = None
    inference_url: str | None = None


class Version(Shown, frozen=True):
    """One immutable version of a model: `str(version)` is `digits:3`."""

    project: str
    model: str
    version: int
    digest: str
    size_bytes: int
    signature: Signature
    task: str = ""
    backend: str = ""
    code: bool = False
    state: str = "active"
    card: str = ""
    aliases: list[str] = msgspec.field(default_factory=list)
    lineage: dict[str, Any] = msgspec.field(default_factory=dict)
    evidence: list[dict[str, Any]] = msgspec.field(default_factory=list)
    files: list[FileEntry] = msgspec.field(default_factory=list)
    created_at: datetime | None = None
    retired_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.model}:{self.version}"

    @property
    def sentence(self) -> str:
        """What its compression came to, in one sentence; empty for a version that was not compressed."""
        return str(compression_in(self.evidence).get("sentence", ""))

    def leaderboard(self) -> Listing[dict[str, Any]]:
        """What its training has tried to the end, the best first; empty where it was not trained here.

        Where latency or size count, `front` says that no other is as good in everything and better in
        something (the Pareto front).
        """
        return Listing(ranking(self.evidence))


class Alias(Shown, frozen=True):
    """A movable name, and the version that it names now."""

    name: str
    version: int
    protected: bool = False
    updated_at: datetime | None = None


class Keep(Shown, frozen=True):
    """What a model keeps: promises against its version `of`, proved on `data` (empty until a first proof).

    `protected` are the aliases that it guards, `notes` tell of versions that answer already without proof.
    """

    project: str
    model: str
    promises: list[str]
    of: int
    data: str = ""
    protected: list[str] = msgspec.field(default_factory=list)
    set_by: str = ""
    set_at: datetime | None = None
    notes: list[str] = msgspec.field(default_factory=list)


class AuditEntry(Shown, frozen=True):
    """Who did what: `who` (a key's id) did `action` to `subject` from the address `origin`.

    `outcome` is done, refused or failed; `detail` says why, and against what; `hash` chains it to the deed
    before it.
    """

    number: int
    time: datetime
    project: str
    who: str
    action: str
    subject: str
    origin: str = ""
    outcome: str = "done"
    detail: dict[str, str] = msgspec.field(default_factory=dict)
    hash: str = ""


class AuditVerification(Shown, frozen=True):
    """How many deeds were read, what is wrong with them, and the end of the chain, to be noted elsewhere."""

    deeds: int
    faults: list[str]
    head: str


class Model(Shown, frozen=True):
    """A name in a project; `latest` is its newest version that is not retired."""

    name: str
    project: str = ""
    latest: int | None = None
    versions: int = 0
    task: str = ""
    aliases: list[Alias] = msgspec.field(default_factory=list)
    created_at: datetime | None = None


class Key(Shown, frozen=True):
    """One key, without its secret. None for a list means: all that the role has."""

    id: str
    name: str = ""
    role: str = ""
    project: str = ""
    models: list[str] | None = None
    actions: list[str] | None = None
    protocols: list[str] | None = None
    networks: list[str] | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    rotated_at: datetime | None = None
    used_at: datetime | None = None


class NewKey(Key, frozen=True, kw_only=True):
    """A key that was made just now. Nobody can show `secret` a second time."""

    secret: str

    def __repr__(self) -> str:
        return f"NewKey(id={self.id!r}, name={self.name!r}, role={self.role!r}, secret='…' (in .secret))"

    def _repr_html_(self) -> str:
        return f"<code>{self.id}</code>: the secret is in <code>.secret</code>, and is shown only now"


class Project(Shown, frozen=True):
    """A tenant."""

    name: str
    created_at: datetime | None = None


class Target(Shown, frozen=True):
    """One version behind a deployment, and its share of the traffic."""

    version: int
    weight: int = 1
    alias: str | None = None


class NodeVersion(Shown, frozen=True):
    """How far one version is on a node: `fetching`, `loading`, `ready`, `unloaded` or `failed`.

    One that is `unloaded` made room for others; its next request loads it again.
    """

    model: str
    version: int
    state: str
    project: str = ""
    error: str = ""
    memory_bytes: int = 0


class NodeShare(Shown, frozen=True):
    """What one node has of one deployment: `state` is the least of its versions', or `behind`."""

    node: str
    state: str
    versions: list[NodeVersion] = msgspec.field(default_factory=list)


class Deployment(Shown, frozen=True):
    """What a model name answers with; `ready` when every alive node has answered with every target.

    What is pinned stays in the memory of every node. `notes` tell of versions that answer although they do
    not prove what the model keeps.
    """

    project: str
    model: str
    targets: list[Target]
    limits: dict[str, Any] = msgspec.field(default_factory=dict)
    pin: bool = False
    revision: int = 0
    snapshot: int = 0
    ready: bool = False
    nodes: list[NodeShare] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Job(Shown, frozen=True):
    """Slow work at the hub: `state` is queued, running, succeeded, failed or cancelled."""

    id: str
    project: str
    kind: str
    state: str
    step: str | None = None
    progress: float | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    request: dict[str, Any] = msgspec.field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("succeeded", "failed", "cancelled")


class Node(Shown, frozen=True):
    """One node, as it last reported itself; alive if that was within the last ten seconds.

    `behind` counts the changes that it has not heard of, `journal_behind` the usage events that it
    has still to ship, `clock_ahead_s` is how far its clock was ahead of the hub's; `loaded_bytes` of its
    `budget_bytes` hold models.
    """

    name: str
    url: str = ""
    release: str = ""
    alive: bool = False
    ready: bool = False
    snapshot: int = 0
    behind: int = 0
    journal_behind: int = 0
    versions: list[NodeVersion] = msgspec.field(default_factory=list)
    heard_at: datetime | None = None
    silent_s: float = 0.0
    clock_ahead_s: float | None = None
    loaded_bytes: int = 0
    budget_bytes: int = 0
    machine: dict[str, Any] | None = None


class UsageRow(Shown, frozen=True):
    """What was used by one group (a model, a key's id, `model:version`, or a day), and its exact cost."""

    group: str = ""
    requests: int = 0
    rows: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    compute_s: float = 0.0
    cached: int = 0
    cached_rows: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    audio_s: float = 0.0
    energy_j: float = 0.0
    cost: Decimal = Decimal(0)


class UsageTotal(UsageRow, frozen=True):
    """All of it; `amount` is the cost rounded as the plan says."""

    amount: Decimal = Decimal(0)


class Verification(Shown, frozen=True):
    """What reading the whole ledger gave; `faults` has a sentence for each thing that is wrong."""

    blocks: int = 0
    events: int = 0
    faults: list[str] = msgspec.field(default_factory=list)


class Usage(Shown, frozen=True):
    """A summary of the ledger under a plan; the items' costs add up to the total's exactly."""

    items: list[UsageRow]
    total: UsageTotal
    currency: str = ""
    plan: str = ""
    others: list[dict[str, str]] = msgspec.field(default_factory=list)

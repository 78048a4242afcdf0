"""One version on a node: on its disk for good, and in its memory or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from forebay.core import Signature, Tensors
from forebay.serving.engine.batcher import BatchLimits
from forebay.serving.engine.cache import Cache, Outcome
from forebay.serving.engine.stats import LaneStats
from forebay.serving.engine.weighing import Artifact


class Desk(Protocol):
    """Where a version takes requests: a lane, or the waiting room of one that is not in memory."""

    signature: Signature
    stats: LaneStats
    cache: Cache | None

    @property
    def trouble(self) -> str:
        """Why the model cannot answer just now; empty while it can."""

    @property
    def limits(self) -> BatchLimits:
        """How batches are made now."""

    @limits.setter
    def limits(self, limits: BatchLimits) -> None: ...

    @property
    def waiting(self) -> int:
        """How many requests wait."""

    def keep(self, cache_bytes: int) -> None:
        """Keep answers, at most *cache_bytes* of them."""

    def submit(self, inputs: Tensors, done: Callable[[Outcome], None], deadline_s: float) -> Any:
        """Queue *inputs*; *done* hears the outcome, once. Returns the desk's own ticket."""

    def withdraw(self, ticket: Any) -> None:
        """The caller has left."""


class Resident:
    """A version whose *artifact* lies on the disk, verified; the manager decides when it is in memory.

    `lane` is where its requests go, loaded or not. `state` is `loading`, `ready`, `unloaded` (it has
    answered before, and its next request loads it again) or `failed` (see `error`); `moved` is told when
    that changes. `fetch` mends the artifact, `step_aside` is called before one that is `parting` makes
    room although it may have requests. `memory_bytes` is what it takes now.
    """

    __slots__ = (
        "artifact", "cache_bytes", "dismissed", "error", "failures", "fetch", "lane", "limits",
        "memory_bytes", "moved", "name", "parting", "pinned", "proved", "retry_at_s", "state", "stats",
        "step_aside",
    )  # fmt: skip

    lane: Desk

    def __init__(
        self,
        name: str,
        artifact: Artifact,
        limits: BatchLimits,
        fetch: Callable[[], Awaitable[Path]],
    ) -> None:
        self.name = name
        self.artifact = artifact
        self.limits = limits
        self.pinned = False
        self.cache_bytes = 0
        self.fetch = fetch
        self.moved: Callable[[], None] = _nothing
        self.step_aside: Callable[[], None] = _nothing
        self.stats = LaneStats()
        self.memory_bytes = 0
        self.state = "loading"
        self.error = ""
        self.failures = 0
        self.retry_at_s = 0.0
        self.proved = False
        self.parting = False
        self.dismissed = False

    @property
    def ready(self) -> bool:
        """Whether it has made a prediction, and nothing has gone wrong since."""
        return self.proved and self.state != "failed" and not self.lane.trouble

    def limit(self, limits: BatchLimits, cache_bytes: int) -> None:
        """How batches are made from now on, and how many bytes of answers are kept."""
        self.limits = self.lane.limits = limits
        self.cache_bytes = cache_bytes
        self.lane.keep(cache_bytes)

    def say(self, state: str, error: str = "") -> None:
        """It is *state* from now on."""
        self.state, self.error = state, error
        self.moved()


def _nothing() -> None:
    """Nobody wants to know."""

"""The words of the benchmark. Durations in seconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

HERE = Path(__file__).parent
ROOT = HERE.parent
CACHE = ROOT / ".cache" / "bench"


class Missing(Exception):
    """Something that the benchmark needs is not to be had here; the text says what, and what to do."""


class Wire(StrEnum):
    """How a request travels."""

    JSON = "json"
    BINARY = "binary"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True)
class Target:
    """One address, and the one request that is sent to it again and again."""

    port: int
    path: str
    headers: tuple[tuple[str, str], ...]
    body: Path
    wire: Wire

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"


class Load(msgspec.Struct, frozen=True):
    """What a generator saw. `errors` counts refusals, broken connections and requests without an answer.

    An open-loop generator says which rate it `offered`, and how late it was itself at the 99th percentile.
    """

    seconds: float
    requests: int
    errors: int
    p50_s: float
    p99_s: float
    offered: float = 0.0
    late_s: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


class Memory(msgspec.Struct, frozen=True):
    """Of all processes of a server: resident pages, and the same with shared pages counted once."""

    resident_bytes: int
    proportional_bytes: int


class Sample(msgspec.Struct, frozen=True):
    """One measurement. `level` is the number of connections (for a bare loop: the rows of a batch).

    `cpu_s` is what all processes of the server used, until they were quiet again; `parts` tells them apart.
    `foreign_share` is the share of a core that neither server nor generator used meanwhile.
    """

    subject: str
    level: int
    round: int
    load: Load
    cpu_s: float = 0.0
    generator_cpu_s: float = 0.0
    foreign_share: float = 0.0
    memory: Memory = Memory(0, 0)
    parts: dict[str, float] = {}

    @property
    def cpu_per_thousand_s(self) -> float:
        """CPU seconds for 1,000 requests."""
        return 1000 * self.cpu_s / max(self.load.requests, 1)


class CaseResult(msgspec.Struct):
    """One case, as it was measured at one time. `absent` says why a subject is missing or incomplete."""

    case: str
    began_at: str
    commit: str
    rounds: int
    seconds: int
    machine: dict[str, str]
    versions: dict[str, str]
    absent: dict[str, str] = {}
    idle_shares: dict[str, float] = {}
    samples: list[Sample] = []

"""What a node is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from forebay.serving.runtime import Budget


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Everything a node reads from outside. Durations in seconds, sizes in bytes.

    `folder` is the node's own part of the home (snapshot, journal, artifacts). `hub_url` and `key`
    say whose node it is. `anonymous_key` is the key of callers who show none, `default_model` what they
    ask who name no model, `health_route` and `predict_route` are paths that a cloud wants to be answered
    at. `worker` tells apart the processes that share one port. `budget` is what one version may use, and
    `model_memory_bytes` (0: what the machine allows) all of them together; `machine` says what there is,
    for people.
    """

    folder: Path
    hub_url: str
    key: str
    name: str
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int = 8001
    public_url: str = ""
    worker: int = 0
    workers: int = 1
    release: str = ""
    max_body_bytes: int = 64 << 20
    max_header_bytes: int = 32 << 10
    header_wait_s: float = 10.0
    body_wait_s: float = 60.0
    idle_wait_s: float = 75.0
    request_wait_s: float = 30.0
    drain_s: float = 20.0
    batch_rows: int = 64
    batch_wait_s: float = 0.002
    queue_rows: int = 4096
    model_memory_bytes: int = 0
    connections: int = 10_000
    budget: Budget = Budget()  # noqa: RUF009 (it is frozen)
    machine: str = ""
    journal_sync: bool = False
    trace_endpoint: str = ""
    trace_share: float = 1.0
    anonymous_key: str = field(default="", repr=False)
    default_model: str = ""
    health_route: str = ""
    predict_route: str = ""

    @property
    def url(self) -> str:
        """Where callers reach this node."""
        return self.public_url or f"http://{self.host}:{self.port}"

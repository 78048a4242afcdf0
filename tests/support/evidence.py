"""Evidence of compressions, as a hub's own job registers it, in plain JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from forebay.control.hub.promises import promised
from forebay.control.registry import VersionRecord
from forebay.control.store import MemoryBlobs
from forebay.core import MachineKind, NodeReport
from support.artifacts import put_artifact

DATA = "d" * 64
OTHER_DATA = "e" * 64
HERE = MachineKind(
    "x86_64", ("avx2", "avx512_vnni"), {"onnxruntime": "1.24.1", "openvino": "2026.1.0", "python": "3.13.1"}
)
ELSEWHERE = MachineKind("x86_64", ("avx2",), {"onnxruntime": "1.24.1", "python": "3.13.1"})


def finding(
    promise: str = "accuracy>=-0.5", change: float = -0.1, low: float | None = None, high: float | None = None
) -> dict[str, Any]:
    """One promise, measured: *change* with its interval, which is *change* itself unless it is given."""
    [about] = promised(promise)
    worst = (change if low is None else low) if about.larger else (change if high is None else high)
    verdict = "kept" if about.holds(worst) else "unproven" if about.holds(change) else "broken"
    return {
        "promise": promise,
        "subject": about.subject,
        "kind": about.kind,
        "bound": about.bound,
        "larger": about.larger,
        "before": 98.0,
        "after": 98.0 + change,
        "change": change,
        "low": change if low is None else low,
        "high": change if high is None else high,
        "rows": 900,
        "verdict": verdict,
    }


def evidence(*findings: dict[str, Any], digest: str, source: str, **more: Any) -> dict[str, Any]:
    """What was measured of the version with *digest* against the one with the digest *source*."""
    found = findings or (finding(),)
    verdicts = {one["verdict"] for one in found}
    verdict = next(name for name in ("broken", "unproven", "kept") if name in verdicts)
    return {
        "kind": "compression",
        "keep": [one["promise"] for one in found],
        "verdict": verdict,
        "digest": digest,
        "source_digest": source,
        "data_digest": DATA,
        "findings": list(found),
        "worst_batch": 128,
        "by_batch": {"1": verdict, "128": verdict},
        "machine": msgspec.to_builtins(HERE) | {"cores": 2, "processor": "A processor"},
    } | more


def proof_of(
    original: VersionRecord, weights: bytes, *findings: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """The evidence of the artifact that holds *weights*, against *original*."""
    digest = put_artifact(MemoryBlobs(), weights).digest
    return evidence(*findings, digest=digest, source=original.artifact) | more


def report_of(name: str = "n1", machine: MachineKind | None = HERE, snapshot: int = 1) -> NodeReport:
    """What a node on *machine* says of itself."""
    return NodeReport(name, f"http://{name}:8000", "0.1.0", snapshot, ready=True, machine=machine)

"""A publish job: somebody's artifact, checked before anybody serves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from forebay.workshop.convert import verify
from forebay.workshop.train import Listener, Reporter

EVIDENCE = "evidence.json"


def verify_artifact(folder: Path, output: Path, tell: Listener) -> None:
    """Load and run the artifact; what was measured goes to its evidence."""
    report = Reporter(tell, "verify")
    report.progress(0.0, "loading the model and running its sample")
    _, evidence = verify(folder / "fetch")
    if "latency_p50_ms" in evidence:
        report.metric("latency_p50_ms", evidence["latency_p50_ms"])
        report.progress(1.0, f"it answers one row in {evidence['latency_p50_ms']:g} ms")
    else:
        report.progress(1.0, "it is code, which the hub looks at and does not run")
    (output / EVIDENCE).write_bytes(msgspec.json.encode(evidence))


def read_evidence(folder: Path) -> dict[str, Any]:
    """What `verify_artifact` measured."""
    return msgspec.json.decode((folder / EVIDENCE).read_bytes(), type=dict[str, Any])

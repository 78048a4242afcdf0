"""The table of compression says what was reached, and what was missed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from bench.compression import SUBJECTS, Bar, row_of, table
from forebay.workshop.compress import Evidence
from forebay.workshop.compress.keep import Verdict


def evidence(**changed: Any) -> Evidence:
    costs = [
        {"batch_rows": size, "p50_s": took, "p95_s": took, "p99_s": took, "row_joules": 0.0}
        for size, took in ((1, 0.001), (32, 0.004))
    ]
    slower = [{**cost, "p50_s": 6 * cost["p50_s"]} for cost in costs]
    finding: dict[str, Any] = {
        "promise": "accuracy>=-0.5",
        "subject": "accuracy",
        "kind": "change",
        "bound": -0.5,
    }
    finding |= {"larger": True, "before": 98.1, "after": 97.9, "change": -0.2, "low": -0.5, "high": 0.1}
    finding |= {"rows": 2000, "verdict": "kept"}
    said: dict[str, Any] = {
        "keep": ["accuracy>=-0.5"],
        "goal": "latency",
        "verdict": "kept",
        "recipe": ["int8-static"],
    }
    said |= dict.fromkeys(("sentence", "digest", "source_digest", "data_digest", "energy", "forebay"), "")
    said |= {"seed": 0, "parts": {}, "unlabelled": False, "findings": [finding], "worst_batch": 1}
    said |= {"by_batch": {}, "classes": [], "slices": {}, "examples": [], "machine": {}, "tried": []}
    said |= {"disk_bytes": 100, "source_disk_bytes": 1200, "memory_bytes": 1, "source_memory_bytes": 1}
    said |= {"costs": costs, "source_costs": slower}
    return msgspec.convert({**said, **changed}, Evidence)


def test_a_bar_needs_every_gain_and_a_promise_that_is_proved() -> None:
    bar = Bar(smaller=10, quicker=5)
    assert bar.met(evidence())
    assert not bar.met(evidence(source_disk_bytes=900))
    assert not bar.met(evidence(verdict=Verdict.UNPROVEN))
    assert not Bar(throughput=7).met(evidence())
    assert str(bar) == "≥ 10 × smaller, ≥ 5 × quicker"


@pytest.mark.parametrize("found", [evidence(), evidence(verdict=Verdict.UNPROVEN), None])
def test_a_row_has_a_cell_for_each_column(found: Evidence | None) -> None:
    machine = {"packages": {"onnx": "1"}, "features": ["amx_int8"], "cores": 2, "processor": "one"}
    page = table([row_of(SUBJECTS[1], found)], machine, datetime(2026, 1, 2, tzinfo=UTC), 60.0)
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {10}
    assert ("**missed**" in lines[-1]) is (found is None or not found.kept)

"""The table of compression says what was reached, and what was missed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from bench.compression import page, row_of
from bench.compression_rivals import Point, lines
from bench.compression_subjects import SUBJECTS, Bar, sentences
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
    said = page([row_of(SUBJECTS[1], found)], [], datetime(2026, 1, 2, tzinfo=UTC), 60.0)
    rows = [line for line in said.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {10}
    assert ("**missed**" in rows[-1]) is (found is None or not found.kept)


def test_another_is_better_only_where_it_is_worse_in_nothing() -> None:
    ours = Point("ours", 10, 5, 5, 97.0)
    for other, better in (
        (Point("twice as small and as right", 20, 5, 5, 97.0), True),
        (Point("smaller and a little less right", 20, 5, 5, 96.9), False),
        (Point("smaller and slower", 20, 4, 5, 98.0), False),
        (Point("as good as the clock can tell", 10.5, 5.2, 4.8, 97.1), False),
        (Point("away", missing="its packages cannot be installed here"), False),
    ):
        assert other.beats(ours) is better, other.name


def test_what_others_make_has_a_cell_for_each_column_or_says_why_it_is_missing() -> None:
    points = [Point("Forebay", 10, 5, 5, 97.0), Point("N", 4, 2, 2, 97.5), Point("O", missing="it is gone")]
    said = page([], lines("CNN", points), datetime(2026, 1, 2, tzinfo=UTC), 60.0)
    rows = [line for line in said.splitlines() if line.startswith("| CNN")]
    assert [line.count("|") for line in rows] == [8, 8, 8]
    assert rows[1].endswith("| not better |")
    assert "not measured: it is gone" in rows[2]


def test_sentences_come_in_pairs_the_same_each_time() -> None:
    found = sentences()
    assert len(found) == 1200
    assert found == sentences()
    assert all(40 <= len(sentence) <= 240 for sentence in found)

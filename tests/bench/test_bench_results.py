from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from bench.bars import BARS, Bar, judge
from bench.cases import CASES, LOOP, SUBJECTS, Case, Kind, cases_named
from bench.keeping import encoded, keep, load
from bench.machine import processor_in
from bench.report import as_markdown
from bench.running import line_for
from bench.spreads import Spread, ratio
from bench.words import CaseResult, Load, Memory, Missing, Sample

SOME = Spread(1.0, 1.6, 2.0)


def test_a_bar_is_met_by_the_median() -> None:
    assert judge(bar(1.5, Spread(1.5, 1.6, 1.7)), {}).said == "met"
    assert judge(bar(1.5, Spread(1.2, 1.3, 1.4)), {}).said == "not met"
    assert judge(bar(1.5, Spread(1.2, 1.3, 1.4), at_most=True), {}).said == "met"
    assert judge(bar(1.5, None), {}).said == "not measured"


def test_cpu_time_decides_where_the_rounds_disagree() -> None:
    assert judge(bar(1.5, SOME, by_cpu=Spread(1.1, 1.2, 1.3)), {}).said == "not met by CPU time"
    assert judge(bar(1.5, SOME, by_cpu=Spread(1.8, 1.9, 2.0)), {}).said == "met by CPU time"
    assert judge(bar(1.5, SOME), {}).said == "met"


def test_rounds_that_one_has_missed_are_not_compared() -> None:
    assert ratio({0: 1.0}, {1: 2.0}) is None
    assert ratio({0: 1.0, 1: 3.0}, {1: 2.0}) == Spread(1.5, 1.5, 1.5)


def test_every_bar_finds_what_its_cases_measure() -> None:
    results = {case.name: measured(case) for case in CASES}
    assert [each.text for each in BARS if judge(each, results).measured is None] == []


def test_every_case_names_subjects_that_there_are() -> None:
    assert {name for case in CASES for name in case.subjects} <= set(SUBJECTS)


def test_an_unknown_case_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Missing, match="there is no case mnist; there are mnist-json, mnist-binary"):
        cases_named(["mnist", "idle"])


def test_the_page_says_who_was_left_out_and_why() -> None:
    case = cases_named(["mnist-json"])[0]
    result = measured(case)
    result.absent["ray"] = "its packages cannot be installed here"
    page = as_markdown({case.name: result})
    assert "Left out: **ray**: its packages cannot be installed here" in page
    assert "| flask | 16 | 1,000 | 1.00 | 2.00 | 0.5000 | 64 | 3 | 1.00 × |" in page
    assert "CPU time of forebay: node 75%, hub 25%." in page
    assert "| MNIST MLP, JSON: fastest peer, c=16 | ≥ 1.5 × | 1.00 × | 1.00 × | **not met** |" in page
    assert "| idle node: resident memory, before anybody asked | ≤ 120 MB |  |  | not measured |" in page


def test_the_page_of_everything_has_a_table_for_each_case() -> None:
    page = as_markdown({case.name: measured(case) for case in CASES})
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## The bars",
        *(f"## {case.title}" for case in CASES),
    ]


def test_the_page_says_when_the_machine_was_not_quiet() -> None:
    case = cases_named(["names"])[0]
    result = measured(case)
    assert "not quiet" not in as_markdown({case.name: result})
    result.samples.append(sample("forebay", 16, 9, foreign_share=0.4))
    assert "other processes took up to 40% of a core" in as_markdown({case.name: result})


def test_measuring_a_part_again_replaces_that_part_only(tmp_path: Path) -> None:
    raw, page = tmp_path / "results.json", tmp_path / "RESULTS.md"
    first, second = measured(CASES[0]), measured(CASES[1])
    keep(first, raw, page)
    keep(second, raw, page)
    again = measured(CASES[0])
    again.commit = "another"
    keep(again, raw, page)
    assert load(raw) == {CASES[0].name: again, CASES[1].name: second}
    assert "commit: another" in page.read_text()


def test_the_raw_results_have_one_measurement_a_line() -> None:
    result = measured(CASES[0])
    assert len(encoded([result]).splitlines()) == len(result.samples) + 1


def test_nothing_was_measured_before_the_first_time(tmp_path: Path) -> None:
    assert load(tmp_path / "results.json") == {}


def test_a_processor_is_named_with_family_and_model() -> None:
    text = "processor : 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Xeon\nflags : a b\n"
    assert processor_in(text) == "Xeon, family 6, model 143"


def test_a_watcher_reads_one_line_a_measurement() -> None:
    assert "forebay   16      1,000/s  p50     1.00 ms" in line_for(sample("forebay", 16, 0))


@pytest.mark.parametrize("name", ["accounting", "bars", "cases", "spreads", "triton"])
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"bench.{name}")).failed == 0


def bar(needed: float, spread: Spread | None, by_cpu: Spread | None = None, *, at_most: bool = False) -> Bar:
    return Bar("", needed, lambda _: spread, (lambda _: by_cpu) if by_cpu else None, at_most=at_most)


def measured(case: Case) -> CaseResult:
    """A case in which everybody was equally fast."""
    samples = [
        sample(name, level, round_) for round_ in range(2) for name in case.subjects for level in case.levels
    ]
    samples += [sample(LOOP, rows, round_) for round_ in range(2) for rows in case.batches]
    if case.kind is Kind.IDLE:
        samples = [sample("forebay", level, 0) for level in case.levels]
    return CaseResult(
        case=case.name,
        began_at="2026-01-01T00:00:00+00:00",
        commit="abc",
        rounds=2,
        seconds=1,
        machine={"cores": "2"},
        versions=dict.fromkeys(case.subjects, "1.0"),
        samples=samples,
    )


def sample(name: str, level: int, round_: int, foreign_share: float = 0.0) -> Sample:
    errors = 3 * (name == "flask" and round_)
    parts = {"hub": 0.125, "node": 0.375} if name.startswith("forebay") else {"python": 0.5}
    load = Load(seconds=1.0, requests=1000, errors=errors, p50_s=0.001, p99_s=0.002, offered=700.0)
    return Sample(
        name, level, round_, load, 0.5, 0.2, foreign_share, Memory(1 << 27, 1 << 26), parts
    )  # fmt: skip

"""RESULTS.md: the bars first, then every case as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bench.bars import BARS, Results, Verdict, judge
from bench.cases import CASES, LOOP, Case, Kind
from bench.spreads import Spread, by_round, cpu, p99, rate, ratio
from bench.words import CaseResult, Sample

_HEAD = """\
# Results

Written by `make bench`; how it measures stands in [NOTES.md](NOTES.md), every single measurement in
[results.json](results.json). Numbers are medians over the rounds, with the smallest and the largest in
brackets; a ratio is taken within each round. Forebay runs as `forebay up` starts it: hub and node, with keys,
limits, metering into the ledger, metrics and batching on; its CPU seconds are those of all its processes,
until the last usage event is in the ledger. Peers run without any of that.
"""
_REFERENCE = "forebay"
_MIB = 1 << 20
_NOISE_SHARE = 0.1


def as_markdown(results: Results) -> str:
    """The whole page."""
    blocks = [_HEAD, "## The bars\n", *_bars(results)]
    for case in CASES:
        if case.name in results:
            blocks += ["", *_case(case, results[case.name])]
    return "\n".join(blocks) + "\n"


def _bars(results: Results) -> Iterator[str]:
    yield "| compared with | needed | measured | in CPU seconds | |"
    yield "| --- | --- | --- | --- | --- |"
    for bar in BARS:
        yield _bar(judge(bar, results))


def _bar(verdict: Verdict) -> str:
    bar = verdict.bar
    needed = f"{'≤' if bar.at_most else '≥'} {bar.needed:g}{_unit(bar.unit)}"
    measured, by_cpu = (_spread(each, _unit(bar.unit)) for each in (verdict.measured, verdict.by_cpu))
    said = f"**{verdict.said}**" if verdict.said.startswith("not met") else verdict.said
    return f"| {bar.text} | {needed} | {measured} | {by_cpu} | {said} |"


def _case(case: Case, result: CaseResult) -> Iterator[str]:
    yield f"## {case.title}\n"
    yield f"`make bench CASES={case.name}`, {result.began_at}, {result.rounds} rounds. {_machine(result)}\n"
    if case.kind is Kind.IDLE:
        yield from _idle(result)
    else:
        yield from _table(case, result)
    yield from _remarks(result)


def _machine(result: CaseResult) -> str:
    told = {**result.machine, "commit": result.commit}
    return ", ".join(f"{name}: {value}" for name, value in told.items()) + "."


def _table(case: Case, result: CaseResult) -> Iterator[str]:
    offered = case.kind is Kind.OPEN
    rates = "offered/s" if offered else "requests/s"
    yield f"| server | c | {rates} | p50 ms | p99 ms | CPU s/1,000 | MiB | errors | forebay is |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for level in case.levels:
        for name in case.subjects:
            if samples := _of(result, name, level):
                yield _row(result, name, level, samples, offered=offered)
    for rows in case.batches:
        if samples := _of(result, LOOP, rows):
            yield _row(result, f"{LOOP}, batch of", rows, samples, offered=False)


def _row(result: CaseResult, name: str, level: int, samples: list[Sample], *, offered: bool) -> str:
    rates = Spread.of(each.load.offered if offered else each.load.rate for each in samples)
    p50_s, p99_s = (Spread.of(getattr(each.load, key) for each in samples) for key in ("p50_s", "p99_s"))
    memory = max(each.memory.proportional_bytes for each in samples) / _MIB
    cells = (
        name,
        f"{level}",
        _spread(rates, digits=0),
        f"{1e3 * p50_s.median:.2f}",
        _spread(Spread(*(1e3 * value for value in p99_s)), digits=2),
        f"{Spread.of(map(cpu, samples)).median:.4f}",
        f"{memory:.0f}" if memory else "",
        f"{sum(each.load.errors for each in samples)}",
        _compared(result, name, level, offered=offered),
    )
    return f"| {' | '.join(cells)} |"


def _compared(result: CaseResult, name: str, level: int, *, offered: bool) -> str:
    """How many times as fast Forebay is; at a fixed load, how its p99 compares."""
    if name == _REFERENCE or name.startswith(LOOP):
        return ""
    value = p99 if offered else rate
    spread = ratio(by_round(result, _REFERENCE, level, value), by_round(result, name, level, value))
    return _spread(spread, " × its p99" if offered else " ×")


def _idle(result: CaseResult) -> Iterator[str]:
    for sample in result.samples:
        parts = ", ".join(f"{part} {100 * s / sample.load.seconds:.2f} %" for part, s in sample.parts.items())
        resident = sample.memory.resident_bytes / _MIB
        asked = f"after {sample.level} callers" if sample.level else "before anybody asked"
        yield f"- {asked}: node {resident:.0f} MiB resident; of a core: {parts or 'nothing'}"


def _remarks(result: CaseResult) -> Iterator[str]:
    yield ""
    versions = "; ".join(f"{name}: {version}" for name, version in sorted(result.versions.items()))
    yield f"Versions: {versions}."
    yield from _parts(result)
    busy = max((each.foreign_share for each in result.samples), default=0.0)
    if busy > _NOISE_SHARE:
        yield f"\nThe machine was not quiet: other processes took up to {busy:.0%} of a core meanwhile."
    yield from (f"\nLeft out: **{name}**: {reason}" for name, reason in sorted(result.absent.items()))


def _parts(result: CaseResult) -> Iterator[str]:
    """Which of Forebay's processes took the CPU time."""
    for name in result.versions:
        spent: Counter[str] = Counter()
        for sample in result.samples:
            if sample.subject == name and name.startswith(_REFERENCE) and sample.load.requests:
                spent.update({part: round(1000 * seconds) for part, seconds in sample.parts.items()})
        if spent.total():
            shares = ", ".join(f"{part} {ms / spent.total():.0%}" for part, ms in spent.most_common())
            yield f"\nCPU time of {name}: {shares}."


def _of(result: CaseResult, name: str, level: int) -> list[Sample]:
    return [each for each in result.samples if (each.subject, each.level) == (name, level)]


def _spread(spread: Spread | None, unit: str = "", digits: int = 2) -> str:
    if spread is None:
        return ""
    low, median, high = (f"{value:,.{digits}f}" for value in spread)
    return f"{median}{unit} ({low}–{high})" if low != high else f"{median}{unit}"


def _unit(unit: str) -> str:
    return f" {unit}" if unit == "×" else unit

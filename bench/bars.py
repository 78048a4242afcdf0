"""The bars that this node has to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.cases import LOOP
from bench.spreads import Rounds, Spread, Value, best, by_round, cpu, p99, rate, ratio
from bench.words import CaseResult, Sample

Results = Mapping[str, CaseResult]
Measure = Callable[[Results], Spread | None]
Choose = Callable[[Iterable[float]], float]
_ONE = ("forebay",)
_OURS = ("forebay", "forebay-2")
_TRITON = ("triton",)
_PEERS = ("mosec", "mosec-2", "triton", "triton-2", "mlserver", "bentoml", "litserve", "ray", "flask")
_LOOP_ROWS = (1, 2, 4, 8, 16, 32, 64)
_MB = 1e6


@dataclass(frozen=True)
class Bar:
    """One demand: `measured` has to be at least `needed`, or at most.

    `by_cpu` is the same comparison in CPU seconds; it decides where the other's rounds disagree.
    """

    text: str
    needed: float
    measured: Measure
    by_cpu: Measure | None = None
    at_most: bool = False
    unit: str = "×"


@dataclass(frozen=True)
class Verdict:
    """What was measured for one bar. `said`: `met`, `not met` (each may be by CPU time) or `not measured`."""

    bar: Bar
    measured: Spread | None
    by_cpu: Spread | None
    said: str


def judge(bar: Bar, results: Results) -> Verdict:
    """Compare the median with what is needed; CPU time decides where the rounds lie on both sides."""
    measured = bar.measured(results)
    by_cpu = bar.by_cpu(results) if bar.by_cpu else None
    if measured is None:
        return Verdict(bar, None, by_cpu, "not measured")
    noisy = _reaches(bar, measured.low) != _reaches(bar, measured.high)
    if noisy and by_cpu is not None:
        return Verdict(bar, measured, by_cpu, f"{_word(bar, by_cpu.median)} by CPU time")
    return Verdict(bar, measured, by_cpu, _word(bar, measured.median))


def _reaches(bar: Bar, value: float) -> bool:
    return value <= bar.needed if bar.at_most else value >= bar.needed


def _word(bar: Bar, value: float) -> str:
    return "met" if _reaches(bar, value) else "not met"


def _the_best(
    results: Results, case: str, subjects: Iterable[str], level: int, value: Value, choose: Choose = max
) -> Rounds:
    result = results.get(case)
    if result is None:
        return {}
    return best((by_round(result, name, level, value) for name in subjects), choose)


def faster(case: str, ours: Iterable[str], theirs: Iterable[str], level: int) -> Measure:
    """How many times as many answers a second the best of *ours* gives as the best of *theirs*."""
    return lambda results: ratio(
        _the_best(results, case, ours, level, rate), _the_best(results, case, theirs, level, rate)
    )


def cheaper(case: str, ours: Iterable[str], theirs: Iterable[str], level: int) -> Measure:
    """How many times as much CPU time the thriftiest of *theirs* takes as that of *ours*."""
    return lambda results: ratio(
        _the_best(results, case, theirs, level, cpu, min), _the_best(results, case, ours, level, cpu, min)
    )


def slower(case: str, ours: Iterable[str], theirs: Iterable[str], level: int) -> Measure:
    """Our p99 as a multiple of the lowest of theirs."""
    return lambda results: ratio(
        _the_best(results, case, ours, level, p99, min), _the_best(results, case, theirs, level, p99, min)
    )


def _of_the_loop(value: Value, choose: Choose, level: int, rows: Iterable[int]) -> Measure:
    def measure(results: Results) -> Spread | None:
        result = results.get("big-binary")
        if result is None:
            return None
        loop = best((by_round(result, LOOP, each, value) for each in rows), choose)
        ours = by_round(result, "forebay", level, value)
        return ratio(ours, loop) if choose is max else ratio(loop, ours)

    return measure


def _loop_bar(text: str, level: int, rows: Iterable[int]) -> Bar:
    """Our share of the rows that a bare loop computes at the best of *rows* a batch."""
    by_cpu = _of_the_loop(cpu, min, level, rows)
    return Bar(f"10 M MLP: {text}, c={level}", 0.95, _of_the_loop(rate, max, level, rows), by_cpu)


def idle(value: Value, level: int) -> Measure:
    """A number of the node while nobody asks, after *level* callers have."""

    def measure(results: Results) -> Spread | None:
        result = results.get("idle")
        values = by_round(result, "forebay", level, value).values() if result else ()
        return Spread.of(values) if values else None

    return measure


def resident_mb(sample: Sample) -> float:
    """Resident memory of the node in MB."""
    return sample.memory.resident_bytes / _MB


def core_percent(sample: Sample) -> float:
    """Percent of one core."""
    return 100 * sample.cpu_s / sample.load.seconds


def _compared(
    text: str, needed: float, case: str, ours: tuple[str, ...], theirs: tuple[str, ...], level: int
) -> Bar:
    both = (case, ours, theirs, level)
    return Bar(f"{text}, c={level}", needed, faster(*both), cheaper(*both))


BARS: tuple[Bar, ...] = (
    *(
        _compared(f"MNIST MLP, JSON: {text}", needed, "mnist-json", _OURS, theirs, level)
        for level in (16, 64)
        for text, needed, theirs in (("fastest peer", 1.5, _PEERS), ("MLServer", 10.0, ("mlserver",)))
    ),
    *(
        _compared(f"MNIST MLP, binary: {text}", needed, "mnist-binary", ours, theirs, level)
        for level in (16, 64)
        for text, needed, ours, theirs in (
            ("Triton's Python backend, one worker, one instance", 2.0, _ONE, _TRITON),
            ("the same, the better of one and two each", 2.0, _OURS, (*_TRITON, "triton-2")),
            ("bare prototype, one process each", 0.8, _ONE, ("bare",)),
        )
    ),
    _compared("two workers, binary: one worker", 1.6, "mnist-binary", ("forebay-2",), _ONE, 64),
    Bar(
        "two workers, binary: CPU seconds of one worker, c=64", 1.1,
        cheaper("mnist-binary", _ONE, ("forebay-2",), 64), at_most=True,
    ),
    _loop_bar("bare loop at its best batch of up to 16", 16, _LOOP_ROWS[:5]),
    _loop_bar("bare loop at its best batch of up to 64", 64, _LOOP_ROWS),
    _compared("gRPC raw: minimal grpc.aio server", 1.5, "mnist-grpc", _ONE, ("grpc-aio",), 16),
    Bar("p99 at 70 % load, JSON: lowest peer", 1.0, slower("latency-json", _OURS, _PEERS, 64), at_most=True),
    Bar(
        "p99 at 70 % load, binary: lower Triton", 1.0,
        slower("latency-binary", _OURS, (*_TRITON, "triton-2"), 64), at_most=True,
    ),
    *(
        _compared("1,000 deployed names: one name", 0.97, "names", ("forebay-1000",), _ONE, level)
        for level in (16, 64)
    ),
    *(
        Bar(f"{text}, {when}", needed, idle(value, level), at_most=True, unit=unit)
        for when, level in (("before anybody asked", 0), ("after 16 callers", 16))
        for text, needed, value, unit in (
            ("idle node: resident memory", 120, resident_mb, " MB"),
            ("idle node: share of a core", 0.5, core_percent, " %"),
        )
    ),
)  # fmt: skip

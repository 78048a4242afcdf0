"""A case from start to end: everybody is started, then asked in turn, round after round.

A round asks everybody once at each level, the next round in the opposite order, so that a drift of the
machine touches all alike. A peer that keeps the machine busy while nobody asks is stopped between its turns.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

from bench import machine
from bench.cases import LOOP, OURS, SUBJECTS, Case, Kind
from bench.measuring import Measured, bare_loop
from bench.models import Model, model
from bench.words import CaseResult, Missing, Sample

_RESTLESS_SHARE = 0.06
_REFERENCES = frozenset(subject.name for subject in OURS)
_OPEN_S = 6
Tell = Callable[[str], None]


class Running:
    """One case while it is measured."""

    def __init__(self, case: Case, rounds: int, seconds: int, tell: Tell) -> None:
        self._case = case
        self._tell = tell
        rounds = 1 if case.kind is Kind.IDLE else rounds
        seconds = max(seconds, case.least_s)
        self._stacks: dict[str, ExitStack] = {}
        self._steady: dict[str, Measured] = {}
        self._restless: list[str] = []
        self.result = CaseResult(
            case=case.name,
            began_at=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=machine.commit(),
            rounds=rounds,
            seconds=seconds,
            machine=machine.facts(),
            versions={},
        )

    def measure(self) -> CaseResult:
        """Measure all of it, or say why there is nothing to measure."""
        self._guarded(f"the model {self._case.model}", lambda: self._measure(model(self._case.model)))
        return self.result

    def _measure(self, asked: Model) -> None:
        try:
            for name in self._case.subjects:
                self._guarded(name, partial(self._begin, name, asked))
            for round_ in range(self.result.rounds):
                self._round(round_, asked)
        finally:
            for name in list(self._steady):
                self._end(name)

    def _begin(self, name: str, asked: Model) -> None:
        """Start *name*, and keep it running if it keeps quiet."""
        self._tell(f"starting {name}")
        subject = SUBJECTS[name]
        self.result.versions[name] = subject.version()
        measured = self._start(name, asked)
        self.result.idle_shares[name] = round(measured.family.idle_share, 3)
        if measured.family.idle_share > _RESTLESS_SHARE and name not in _REFERENCES:
            self._end(name)
            self._restless.append(name)

    def _start(self, name: str, asked: Model) -> Measured:
        with ExitStack() as stack:
            serving = stack.enter_context(SUBJECTS[name].serving(asked, self._case.wire))
            measured = Measured.proved(name, serving, asked, self._case.wire)
            if self._case.kind is not Kind.IDLE:
                measured.warm()
            self._stacks[name] = stack.pop_all()
        self._steady[name] = measured
        return measured

    def _end(self, name: str) -> None:
        self._steady.pop(name, None)
        stack = self._stacks.pop(name, None)
        if stack is not None:
            self._guarded(name, stack.close)

    def _round(self, round_: int, asked: Model) -> None:
        self._loops(round_, asked)
        for level in self._case.levels:
            names = list(self._steady)
            for name in names if round_ % 2 == 0 else reversed(names):
                self._ask(name, level, round_)
        for name in list(self._restless):
            self._guarded(name, partial(self._start, name, asked))
            for level in self._case.levels:
                self._ask(name, level, round_)
            self._end(name)

    def _loops(self, round_: int, asked: Model) -> None:
        for rows in self._case.batches:
            self._keep(bare_loop(LOOP, asked, rows, round_, self.result.seconds))

    def _ask(self, name: str, level: int, round_: int) -> None:
        measured = self._steady.get(name)
        if measured is not None:
            self._guarded(name, lambda: self._keep(self._sample(measured, level, round_)))

    def _sample(self, measured: Measured, level: int, round_: int) -> Sample:
        match self._case.kind:
            case Kind.CLOSED:
                return measured.closed(level, round_, self.result.seconds)
            case Kind.OPEN:
                return measured.open(level, round_, _OPEN_S)
            case Kind.IDLE:
                return measured.idle(level, round_, self.result.seconds)

    def _keep(self, sample: Sample) -> None:
        self.result.samples.append(sample)
        self._tell(line_for(sample))

    def _guarded(self, name: str, work: Callable[[], object]) -> None:
        """One who cannot is reported, and the others go on without him."""
        try:
            work()
        except Missing as error:
            self.result.absent[name] = str(error)
            self._tell(f"{name} is left out: {error}")
            self._restless = [each for each in self._restless if each != name]
            self._end(name)


def line_for(sample: Sample) -> str:
    """One measurement for somebody who watches."""
    load = sample.load
    seen = (
        f"{load.rate:>10,.0f}/s  p50 {1e3 * load.p50_s:8.2f} ms  p99 {1e3 * load.p99_s:8.2f} ms"
        f"  CPU {sample.cpu_per_thousand_s:8.4f} s/1,000  errors {load.errors}"
        if load.requests
        else f"nobody asks for {load.seconds:g} s, CPU {sample.cpu_s:.2f} s"
    )
    who = f"round {sample.round + 1} {sample.subject:>14} {sample.level:>4}"
    return f"{who} {seen}  others {sample.foreign_share:.2f}"

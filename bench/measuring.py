"""One measurement: a quiet machine before, what server and generator used, and quiet again after."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from bench import accounting
from bench.bodies import check
from bench.drivers import h2load, pace, wrk
from bench.models import Model
from bench.servers import Family
from bench.subjects import Serving
from bench.words import ROOT, Load, Missing, Sample, Target, Wire

_BEFORE_S = 10.0
_AFTER_S = 30.0
_WARM_CONNECTIONS = 16
_WARM_S = 1
_IDLE_S = 2.0
_NOBODY_S = 30
_CAPACITY_S = 2
_OPEN_SHARE = 0.7
_NODE = "node"


@dataclass(frozen=True)
class Measured:
    """A server that has proved to answer rightly."""

    name: str
    serving: Serving
    target: Target
    answer_bytes: int

    @classmethod
    def proved(cls, name: str, serving: Serving, model: Model, wire: Wire) -> Measured:
        """Compare one answer with the model's own; raises `Missing`."""
        target = serving.targets[wire]
        return cls(name, serving, target, check(target, model.expected()))

    def warm(self) -> None:
        """Ask for a second, and learn what it does when nobody asks; raises `Missing`."""
        self.drive(_WARM_CONNECTIONS, _WARM_S)
        self.family.settle(_AFTER_S, self.serving.quiet_s)
        self.family.learn_idle(_IDLE_S)

    @property
    def family(self) -> Family:
        return self.serving.family

    def drive(self, connections: int, seconds: int) -> Load:
        """A closed loop; raises `Missing` when nothing is answered."""
        if self.target.wire is Wire.GRPC:
            load = h2load.closed_loop(self.target, connections, seconds, self.answer_bytes)
        else:
            load = wrk.closed_loop(self.target, connections, seconds)
        if not load.requests:
            raise Missing(f"it answered nothing over {connections} connections ({load.errors} errors)")
        return load

    def closed(self, connections: int, round_: int, seconds: int) -> Sample:
        """As fast as *connections* callers can."""
        return self._sample(connections, round_, lambda: self.drive(connections, seconds))

    def open(self, connections: int, round_: int, seconds: int) -> Sample:
        """At a fixed share of what it can do now; every subject gets the same arrivals, scaled."""
        rate = _OPEN_SHARE * self.drive(connections, _CAPACITY_S).rate
        return self._sample(
            connections, round_, lambda: pace.open_loop(self.target, rate, connections, seconds, round_)
        )

    def idle(self, connections: int, round_: int, seconds: int) -> Sample:
        """Nobody asks, after *connections* callers have or none ever has; all numbers are the node's own."""
        if connections:
            self.drive(connections, seconds)
            self.family.settle(_AFTER_S, self.serving.quiet_s)
        sample = self._sample(connections, round_, lambda: _nobody(_NOBODY_S))
        return msgspec.structs.replace(
            sample, cpu_s=sample.parts.get(_NODE, 0.0), memory=self.family.memory(_NODE)
        )

    def _sample(self, level: int, round_: int, drive: Callable[[], Load]) -> Sample:
        self.family.settle(_BEFORE_S)
        before, busy, children = self.family.cpu_by_part(), accounting.busy_s(), _children_s()
        began_s = time.monotonic()
        load = drive()
        ended_s, generator_s = time.monotonic(), _children_s() - children
        busy = accounting.busy_s() - busy
        foreign_s = busy - generator_s - (self.family.cpu_s() - before.total())
        memory = self.family.memory()
        self.family.settle(_AFTER_S, self.serving.quiet_s)
        after_s = time.monotonic() - ended_s
        parts = used(before, self.family.cpu_by_part(), self.family.idle, after_s)
        return Sample(
            subject=self.name,
            level=level,
            round=round_,
            load=load,
            cpu_s=round(sum(parts.values()), 3),
            generator_cpu_s=round(generator_s, 3),
            foreign_share=round(max(0.0, foreign_s / (ended_s - began_s)), 3),
            memory=memory,
            parts=parts,
        )


def used(
    before: Counter[str], after: Counter[str], idle: Mapping[str, float], after_s: float
) -> dict[str, float]:
    """What each part has used for the load, less what it would have used anyway in the *after_s* since.

    Who has left has taken his seconds along.
    """
    spent = {part: after[part] - before[part] - after_s * idle.get(part, 0.0) for part in sorted(after)}
    return {part: round(seconds, 3) for part, seconds in spent.items() if seconds > 0}


def bare_loop(name: str, model: Model, rows: int, round_: int, seconds: int) -> Sample:
    """ONNX Runtime alone with batches of *rows*; a request is a row. Raises `Missing`."""
    with TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        np.savez(inputs, **model.row)  # type: ignore[arg-type]  # names of tensors, not allow_pickle
        began_s, busy = time.monotonic(), accounting.busy_s()
        done = subprocess.run(
            [sys.executable, "-m", "bench.peers.loop", str(inputs), str(rows), str(seconds)],
            env={**os.environ, "BENCH_MODEL": str(model.file), "BENCH_THREADS": str(model.threads)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise Missing(f"the bare loop failed: {done.stderr.strip()[-300:]}")
    calls, took_s, cpu_s, whole_cpu_s = map(float, done.stdout.split())
    load = Load(took_s, round(calls) * rows, 0, took_s / calls, took_s / calls)
    foreign_s = accounting.busy_s() - busy - whole_cpu_s
    foreign_share = round(max(0.0, foreign_s / (time.monotonic() - began_s)), 3)
    return Sample(name, rows, round_, load, round(cpu_s, 3), foreign_share=foreign_share)


def _nobody(seconds: int) -> Load:
    time.sleep(seconds)
    return Load(float(seconds), 0, 0, 0.0, 0.0)


def _children_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime

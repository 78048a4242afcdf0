"""What a search has tried: figures and answers, kept on disk as they come, so that nothing is tried twice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from forebay.core import Array

DONE, PRUNED, FAILED = "done", "pruned", "failed"


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """One estimator with one set of parameters: the mean and the spread of its figures over the folds.

    Without `params` it ran as it is. `by_fold` is what was looked at, fold by fold; a `pruned` one was
    given up after some. `latency_ms` and `size_bytes` are those of the served model, where they
    count; `pareto` says that no other is better in everything that counts.
    """

    estimator: str
    mean: dict[str, float]
    std: dict[str, float]
    seconds: float
    number: int = 0
    params: dict[str, Any] = {}
    state: str = DONE
    by_fold: tuple[float, ...] = ()
    latency_ms: float | None = None
    size_bytes: int | None = None
    pareto: bool = False
    why: str = ""

    @property
    def as_it_is(self) -> bool:
        """Whether it ran with its own defaults."""
        return not self.params

    @property
    def final_s(self) -> float:
        """How long it will take to learn from all rows, by how long it took for a fold."""
        folds = max(1, len(self.by_fold))
        return self.seconds / folds * (folds / (folds - 1) if folds > 1 else 1.25)


class Trials:
    """The candidates so far, and what each said to the rows it had not learnt from.

    With a *folder*, each is there before the next begins: a line in `trials.jsonl`, and a file of
    answers. A line that a `kill -9` cut short counts as not written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._answers: dict[int, Array] = {}
        self.candidates: list[Candidate] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.candidates = _read(folder / "trials.jsonl")

    @property
    def spent_s(self) -> float:
        """How long all of them took."""
        return sum(candidate.seconds for candidate in self.candidates)

    def done(self) -> list[Candidate]:
        """Those that came through."""
        return [candidate for candidate in self.candidates if candidate.state == DONE]

    def tried(self, estimator: str) -> bool:
        """Whether *estimator* ran as it is."""
        return any(one.estimator == estimator and one.as_it_is for one in self.candidates)

    def add(self, candidate: Candidate, answers: Array | None) -> Candidate:
        """Keep *candidate*; its number is the next."""
        candidate = msgspec.structs.replace(candidate, number=len(self.candidates))
        if answers is not None:
            self._keep(candidate.number, answers)
        self.candidates.append(candidate)
        if self._folder is not None:
            with (self._folder / "trials.jsonl").open("ab") as file:
                file.write(msgspec.json.encode(candidate) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        return candidate

    def _keep(self, number: int, answers: Array) -> None:
        if self._folder is None:
            self._answers[number] = answers
            return
        growing = self._folder / f"{number}.part.npy"
        np.save(growing, answers, allow_pickle=False)
        growing.replace(self._folder / f"{number}.npy")

    def answers(self, number: int) -> Array:
        """What candidate *number* said, a row for every row to learn from; NaN where it was not asked."""
        if self._folder is None:
            return self._answers[number]
        found: Array = np.load(self._folder / f"{number}.npy", allow_pickle=False)
        return found


def _read(path: Path) -> list[Candidate]:
    if not path.exists():
        return []
    found, whole = list[Candidate](), 0
    content = path.read_bytes()
    for line in content.splitlines(keepends=True):
        try:
            found.append(msgspec.json.decode(line, type=Candidate))
        except msgspec.MsgspecError:
            break
        if not line.endswith(b"\n"):
            found.pop()
            break
        whole += len(line)
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    return found

"""Second step: which estimator? Cross-validation decides, on the training rows alone."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import msgspec
import numpy as np

from forebay.core import Array
from forebay.workshop.convert.threads import threads_for
from forebay.workshop.train.estimators import Estimator, candidates, pipeline_for
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.recipe import CLASSIFICATION, Recipe
from forebay.workshop.train.scores import PRIMARY, score


class Candidate(msgspec.Struct, frozen=True):
    """One estimator's figures: the mean and the spread over the folds."""

    estimator: str
    mean: dict[str, float]
    std: dict[str, float]
    seconds: float


class Chosen(msgspec.Struct, frozen=True):
    """What cross-validation chose, out of what. `skipped` were left out for want of time."""

    estimator: str
    metric: str
    folds: int
    candidates: tuple[Candidate, ...]
    skipped: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it below *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chosen.json").write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Chosen:
        """Read what `save` wrote."""
        return msgspec.json.decode((folder / "chosen.json").read_bytes(), type=cls)


def choose(prepared: Prepared, recipe: Recipe, report: Reporter) -> Chosen:
    """Cross-validate every candidate and take the best by the task's first metric.

    The time budget is looked at after each fold: once one candidate is through, another is given
    up as soon as its folds would not end in time.
    """
    contest = _Contest(prepared, recipe, report)
    wanted = candidates(prepared, recipe.estimator)
    for place, estimator in enumerate(wanted):
        contest.run(estimator, place / len(wanted), 1 / len(wanted))
    metric = PRIMARY[prepared.facts.task]
    best = max(contest.done, key=lambda candidate: candidate.mean[metric])
    report.progress(1.0, f"{best.estimator} is best: {metric} {best.mean[metric]:.4f}")
    return Chosen(best.estimator, metric, contest.folds, tuple(contest.done), tuple(contest.skipped))


class _Contest:
    def __init__(self, prepared: Prepared, recipe: Recipe, report: Reporter) -> None:
        self._prepared, self._recipe, self._report = prepared, recipe, report
        self._rows, self._target = prepared.rows_of(prepared.train), prepared.train_target
        self.folds = _folds(self._target, prepared.facts.task, recipe.folds)
        self._metric = PRIMARY[prepared.facts.task]
        budget = recipe.time_budget_s
        self._until = float("inf") if budget is None else time.monotonic() + budget
        self.done: list[Candidate] = []
        self.skipped: list[str] = []

    def run(self, estimator: Estimator, start: float, share: float) -> None:
        began, figures = time.monotonic(), list[dict[str, float]]()
        for fold, (learn, check) in enumerate(self._splits(), start=1):
            if self.done and self._too_late(began, len(figures)):
                self.skipped.append(estimator.name)
                self._report.log(f"{estimator.name} left out: the time budget is used up")
                return
            figures.append(self._fold(estimator, learn, check))
            told = f"{self._metric} {figures[-1][self._metric]:.4f}"
            told = f"{estimator.name}, fold {fold} of {self.folds}: {told}"
            self._report.progress(start + share * fold / self.folds, told)
        self.done.append(_candidate(estimator.name, figures, time.monotonic() - began))
        self._report.metric(self._metric, self.done[-1].mean[self._metric], estimator=estimator.name)

    def _fold(self, estimator: Estimator, learn: Array, check: Array) -> dict[str, float]:
        model = pipeline_for(estimator, self._prepared, self._recipe.seed)
        with told_warnings(self._report, estimator.name), threads_for(self._prepared.values):
            model.fit(_some(self._rows, learn), self._target[learn])
            return score(model, _some(self._rows, check), self._target[check], self._prepared.facts.task)

    def _too_late(self, began: float, folds_done: int) -> bool:
        now = time.monotonic()
        ahead = (now - began) / folds_done * (self.folds - folds_done) if folds_done else 0.0
        return now + ahead > self._until

    def _splits(self) -> Iterator[tuple[Array, Array]]:
        from sklearn.model_selection import KFold, StratifiedKFold  # noqa: PLC0415 (heavy)

        stratified = self._prepared.facts.task == CLASSIFICATION
        way = StratifiedKFold if stratified else KFold
        folds = way(self.folds, shuffle=True, random_state=self._recipe.seed)
        yield from folds.split(np.zeros(len(self._target)), self._target)


def _folds(target: Array, task: str, wanted: int) -> int:
    """As many as wanted, but every class has a row in each fold."""
    if task == CLASSIFICATION:
        wanted = min(wanted, int(np.unique(target, return_counts=True)[1].min()))
    return max(2, min(wanted, len(target)))


def _some(rows: Any, places: Array) -> Any:
    return rows[places] if isinstance(rows, np.ndarray) else rows[places.tolist()]


def _candidate(name: str, figures: list[dict[str, float]], seconds: float) -> Candidate:
    names = [name for name in figures[0] if all(name in fold for fold in figures)]
    mean = {name: fmean(fold[name] for fold in figures) for name in names}
    std = {name: pstdev([fold[name] for fold in figures]) for name in names}
    return Candidate(name, mean, std, round(seconds, 3))


@contextmanager
def told_warnings(report: Reporter, about: str) -> Iterator[None]:
    """Say once what scikit-learn warns of, instead of printing it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message).partition("\n")[0] for warning in caught):
        report.log(f"{about}: {text}")

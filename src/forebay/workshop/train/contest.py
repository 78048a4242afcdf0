"""Candidates against each other: each learns from some rows and answers others, on the same folds."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import ForebayError
from forebay.workshop.convert.threads import threads_for
from forebay.workshop.train.blending import loss_for
from forebay.workshop.train.estimators import Estimator
from forebay.workshop.train.features import some
from forebay.workshop.train.members import Member
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.recipe import CLASSIFICATION, FORECASTING, QUANTILE, Recipe
from forebay.workshop.train.scores import better, primary, score
from forebay.workshop.train.splitting import folded, folds_for
from forebay.workshop.train.trials import DONE, FAILED, PRUNED, Candidate, Trials
from forebay.workshop.train.weighing import weigh

_PROBED_VALUES = 500_000
_PROBE = 0.05
_AFTERWARDS = 0.1
GivenUp = Callable[[int, float], bool]
"""Is told the mean score after a fold, and says whether the candidate is to be given up."""


class Contest:
    """The folds, the clock, and the list of what was tried."""

    def __init__(self, prepared: Prepared, recipe: Recipe, report: Reporter, folder: Path | None) -> None:
        self.prepared, self.recipe, self.report = prepared, recipe, report
        self.trials = Trials(folder)
        self.metric = primary(prepared.facts.task, recipe.metric)
        self.rows, self.target = prepared.rows_of(prepared.train), prepared.train_target
        stratified, timed = prepared.facts.split == "stratified", prepared.facts.split == "time"
        self.folds = folds_for(
            self.target, recipe.folds, prepared.values, stratified=stratified, groups=prepared.groups
        )
        self.splits = list(
            folded(
                self.target,
                self.folds,
                recipe.seed,
                stratified=stratified,
                groups=prepared.groups,
                timed=timed,
            )
        )
        self.skipped: list[str] = []
        self._began, self._before_s = time.monotonic(), self.trials.spent_s
        self._until = self._began + left_after(recipe, prepared.facts.took_s + self._before_s)

    @property
    def left_s(self) -> float:
        """How much of the time budget is left for trials, over all attempts: the final fit has its share."""
        return self.whole_s - min((one.final_s for one in self._front()), default=0.0)

    @property
    def whole_s(self) -> float:
        """How much of the time budget is left for trials and the final fit."""
        return self._until - time.monotonic()

    @property
    def took_s(self) -> float:
        """How long the contest has taken, over all attempts."""
        return self._before_s + time.monotonic() - self._began

    def _front(self) -> list[Candidate]:
        """The best so far."""
        done = self.trials.done()
        return [max(done, key=lambda one: better(self.metric, one.mean[self.metric]))] if done else []

    @property
    def asked(self) -> Array:
        """The rows that every candidate answers: those of the folds' second halves."""
        return np.sort(np.concatenate([check for _, check in self.splits]))

    def run(
        self, estimator: Estimator, params: dict[str, Any], span: tuple[float, float], given_up: GivenUp
    ) -> Candidate | None:
        """Try one candidate on all folds; None where the time would not suffice.

        *span* is the part of the step's progress that it is.
        """
        began, figures = time.monotonic(), list[dict[str, float]]()
        answers: Array | None = None
        costs: dict[str, Any] = {}
        for fold, (learn, check) in enumerate(self.splits):
            if self.trials.done() and self._too_late(began, fold):
                self._leave_out(estimator, params)
                return None
            try:
                if not fold and self._hopeless(estimator, params, learn):
                    self._leave_out(estimator, params)
                    return None
                member, told = self._fold(estimator, params, learn, check, fold, span)
            except ForebayError:
                raise
            except Exception as error:  # noqa: BLE001 (frameworks refuse parameters with whatever they like)
                return self._failed(estimator, params, error, began)
            answers = np.full((len(self.target), told.shape[1]), np.nan) if answers is None else answers
            answers[check] = told
            figures.append(self.scores(told, check))
            if self.recipe.objectives and not costs:
                costs = weigh(member, self.prepared)
            self._tell(estimator, fold, figures, span)
            if fold + 1 < self.folds and given_up(fold, self._so_far(figures)):
                return self.trials.add(self._candidate(estimator, params, figures, began, PRUNED, {}), None)
        done = self._candidate(estimator, params, figures, began, DONE, costs)
        self.report.metric(
            self.metric, done.mean[self.metric], estimator=estimator.name, trial=len(self.trials.candidates)
        )
        return self.trials.add(done, answers)

    def _fold(
        self,
        estimator: Estimator,
        params: dict[str, Any],
        learn: Array,
        check: Array,
        fold: int,
        span: tuple[float, float],
    ) -> tuple[Member, Array]:
        watch = self._watch(estimator, fold, span)
        member = Member(estimator, params, self.prepared, self.recipe, watch, self._allotted_s(fold))
        with told_warnings(self.report, estimator.name), threads_for(self.prepared.values):
            member.fit(some(self.rows, learn), self.prepared.codes(self.target[learn]))
            return member, member.answers(some(self.rows, check))

    def _allotted_s(self, fold: int) -> float:
        """What a fold may take; of the first candidate, as long as all of them as the final fit may."""
        left_s = self.left_s if self.trials.done() else self.whole_s / 2
        return max(left_s, 1.0) / (self.folds - fold)

    def _hopeless(self, estimator: Estimator, params: dict[str, Any], learn: Array) -> bool:
        """Whether *estimator*, of which nobody knows how long it takes, would not end in time.

        Told by how long it takes for few of the rows. What learns in epochs keeps its time itself.
        """
        if params or estimator.paced or np.isinf(self._until) or self.prepared.values < _PROBED_VALUES:
            return False
        few = np.random.default_rng(self.recipe.seed).choice(learn, max(2, int(len(learn) * _PROBE)), False)
        began = time.monotonic()
        member = Member(estimator, params, self.prepared, self.recipe)
        with told_warnings(self.report, estimator.name), threads_for(self.prepared.values):
            member.fit(some(self.rows, np.sort(few)), self.prepared.codes(self.target[np.sort(few)]))
        needed_s = (time.monotonic() - began) * len(learn) / len(few) * self.folds
        return needed_s > (self.left_s if self.trials.done() else self.whole_s / 4)

    def _watch(self, estimator: Estimator, fold: int, span: tuple[float, float]) -> Any:
        def watch(epoch: int, epochs: int, figures: dict[str, float]) -> None:
            told = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
            done = (fold + epoch / epochs) / self.folds
            text = f"{estimator.name}, fold {fold + 1} of {self.folds}, epoch {epoch} of {epochs}: {told}"
            self.report.progress(span[0] + span[1] * done, text)

        return watch

    def scores(self, told: Array, check: Array) -> dict[str, float]:
        """All figures of what somebody said to the rows *check*."""
        facts, recipe = self.prepared.facts, self.recipe
        return score(
            told,
            self.target[check],
            facts.task,
            classes=self.prepared.classes if facts.task == CLASSIFICATION else np.empty(0),
            quantiles=recipe.quantiles,
            last=self.rows[check][:, -1] if facts.task == FORECASTING else None,
            spread=np.quantile(self.target, recipe.quantiles) if facts.task == QUANTILE else None,
        )

    def gain(self, told: Array, target: Array) -> float:
        """How good answers are to codes of some of the rows, by the smooth error behind what is looked at."""
        return -loss_for(self.prepared.facts.task, self.recipe.quantiles)(told, target)

    def _so_far(self, figures: list[dict[str, float]]) -> float:
        return fmean(better(self.metric, fold.get(self.metric, 0.0)) for fold in figures)

    def _tell(
        self, estimator: Estimator, fold: int, figures: list[dict[str, float]], span: tuple[float, float]
    ) -> None:
        told = f"{self.metric} {figures[-1].get(self.metric, float('nan')):.4f}"
        left = f", {self.left_s:.0f} s left" if np.isfinite(self._until) and self.left_s > 0 else ""
        text = f"{estimator.name}, fold {fold + 1} of {self.folds}: {told}{left}"
        self.report.progress(span[0] + span[1] * (fold + 1) / self.folds, text)

    def _too_late(self, began: float, folds_done: int) -> bool:
        took_s = time.monotonic() - began
        return (took_s / folds_done * (self.folds - folds_done) if folds_done else 0.0) > self.left_s

    def _leave_out(self, estimator: Estimator, params: dict[str, Any]) -> None:
        if not params:
            self.skipped.append(estimator.name)
            self.report.log(f"{estimator.name} left out: the time budget is used up")

    def _failed(
        self, estimator: Estimator, params: dict[str, Any], error: Exception, began: float
    ) -> Candidate:
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        self.report.log(f"{estimator.name} failed: {why}")
        seconds = round(time.monotonic() - began, 3)
        failed = Candidate(estimator.name, {}, {}, seconds, params=params, state=FAILED, why=why)
        return self.trials.add(failed, None)

    def _candidate(
        self,
        estimator: Estimator,
        params: dict[str, Any],
        figures: list[dict[str, float]],
        began: float,
        state: str,
        costs: dict[str, Any],
    ) -> Candidate:
        names = [name for name in figures[0] if all(name in fold for fold in figures)]
        return Candidate(
            estimator.name,
            {name: fmean(fold[name] for fold in figures) for name in names},
            {name: pstdev([fold[name] for fold in figures]) for name in names},
            round(time.monotonic() - began, 3),
            params=params,
            state=state,
            by_fold=tuple(fold.get(self.metric, 0.0) for fold in figures),
            **costs,
        )


def left_after(recipe: Recipe, took_s: float) -> float:
    """How many seconds of the time budget are left for learning after *took_s*; infinite without a budget.

    A tenth of it is for what comes after: scores, the conversion, its proof, and the report.
    """
    return math.inf if recipe.time_budget_s is None else recipe.time_budget_s * (1 - _AFTERWARDS) - took_s


@contextmanager
def told_warnings(report: Reporter, about: str) -> Iterator[None]:
    """Say once what libraries warn of, instead of printing it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message).partition("\n")[0] for warning in caught):
        report.log(f"{about}: {text}")

"""Second step: which estimator, with which parameters, alone or with others? The training rows decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.workshop.train.blending import blend, loss_for, temperature_for
from forebay.workshop.train.contest import Contest
from forebay.workshop.train.estimators import OFFER, Estimator
from forebay.workshop.train.members import KINDS
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.recipe import AUTO, CLASSIFICATION, Recipe
from forebay.workshop.train.scores import better
from forebay.workshop.train.searching import search
from forebay.workshop.train.trials import FAILED, Candidate

ENSEMBLE = "ensemble"
_MUCH = 5_000_000
_MANY_ROWS = 100_000
_BLENDED = 8


class Part(msgspec.Struct, frozen=True):
    """One member of the model to build."""

    estimator: str
    weight: float = 1.0
    params: dict[str, Any] = {}


class Chosen(msgspec.Struct, frozen=True):
    """What the contest chose, out of what. `skipped` were left out for want of time.

    `took_s` is how long the contest took, over all attempts.
    """

    estimator: str
    metric: str
    folds: int
    candidates: tuple[Candidate, ...]
    skipped: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    temperature: float = 1.0
    objectives: tuple[str, ...] = ()
    took_s: float = 0.0

    @property
    def best(self) -> Candidate | None:
        """The candidate of the weightiest part."""
        if not self.parts:
            return None
        return self.candidate(max(self.parts, key=lambda part: part.weight))

    def candidate(self, part: Part) -> Candidate | None:
        """The candidate that *part* was."""
        wanted = (part.estimator, part.params)
        return next((one for one in self.candidates if (one.estimator, one.params) == wanted), None)

    def save(self, folder: Path) -> None:
        """Write it below *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chosen.json").write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Chosen:
        """Read what `save` wrote."""
        return msgspec.json.decode((folder / "chosen.json").read_bytes(), type=cls)


def choose_taught(
    prepared: Prepared, recipe: Recipe, report: Reporter, checkpoint: Path | None = None
) -> Chosen:
    """Try every candidate as it is, search for better parameters within the time budget, take the best.

    The time budget bounds the whole training: what reading took is gone already, and the final fit,
    the conversion and its proof have their share. It is looked at after each fold: once one candidate is
    through, another is given up as soon as its folds would not end in time; networks learn for as
    long as they may. What is in the folder *checkpoint* was tried before
    and is not tried again.
    """
    wanted = candidates(prepared, recipe.estimator)
    contest = Contest(prepared, recipe, report, checkpoint)
    if contest.trials.candidates:
        report.log(f"going on after {len(contest.trials.candidates)} trials that are done already")
    share = 1.0 if recipe.time_budget_s is None else 0.5
    for place, estimator in enumerate(wanted):
        if not contest.trials.tried(estimator.name) and not recipe.parameters:
            span = (share * place / len(wanted), share / len(wanted))
            contest.run(estimator, {}, span, lambda _fold, _score: False)
    if recipe.parameters:
        _as_told(contest, wanted, recipe.parameters)
    elif recipe.time_budget_s is not None:
        search(contest, wanted, share)
    return _concluded(contest)


def candidates(prepared: Prepared, wanted: str) -> list[Estimator]:
    """What *wanted* means for these rows: what is made for pictures first, then the quickest."""
    task = prepared.facts.task
    fitting = [one for one in OFFER.values() if KINDS[task] in one.makers and _takes(one, prepared)]
    fitting.sort(key=lambda one: not one.pixels)
    if wanted == AUTO:
        values = prepared.values * max(1, len(prepared.facts.classes))
        many = prepared.facts.rows_train > _MANY_ROWS
        return [
            one
            for one in fitting
            if one.installed
            and not one.alone
            and not (values > _MUCH and one.heavy)
            and not (many and one.rows_heavy)
        ]
    chosen = [one for one in fitting if one.name == wanted]
    if not chosen:
        names = ", ".join(repr(one.name) for one in fitting)
        raise Malformed(f"the estimator {wanted!r} does no {task} of such rows; there is {names}")
    return chosen


def _takes(estimator: Estimator, prepared: Prepared) -> bool:
    if estimator.pixels:
        return prepared.facts.image is not None
    return prepared.wordy if estimator.words else estimator.sparse or not prepared.wordy


def _as_told(contest: Contest, wanted: list[Estimator], parameters: dict[str, Any]) -> None:
    """One candidate with the parameters that somebody gave."""
    if len(wanted) != 1:
        raise Malformed("parameters belong to one estimator; name it, as in estimator='xgboost'")
    made = contest.run(wanted[0], dict(parameters), (0.0, 1.0), lambda _fold, _score: False)
    if made is not None and made.state == FAILED:
        raise Malformed(f"{wanted[0].name} refuses these parameters: {made.why}")


def _concluded(contest: Contest) -> Chosen:
    done = contest.trials.done()
    if not done:
        why = "; ".join(f"{one.estimator}: {one.why}" for one in contest.trials.candidates)
        raise Malformed(f"no estimator could learn from these rows: {why}")
    ranked = sorted(done, key=lambda one: _rank(one, contest.metric))
    objectives = contest.recipe.objectives
    if objectives:
        ranked = _lightest_first(ranked, contest.metric, objectives)
    parts, temperature = _parts(contest, ranked)
    name = parts[0].estimator if len(parts) == 1 else ENSEMBLE
    best = ranked[0]
    contest.report.progress(1.0, f"{name} is best: {contest.metric} {best.mean[contest.metric]:.4f}")
    everyone = tuple(_marked(contest.trials.candidates, contest.metric, objectives))
    return Chosen(
        name,
        contest.metric,
        contest.folds,
        everyone,
        tuple(contest.skipped),
        parts,
        temperature,
        objectives,
        round(contest.took_s, 3),
    )


def _rank(candidate: Candidate, metric: str) -> tuple[float, float, float]:
    """Best first; equals by their log loss, then by their time."""
    mean = candidate.mean
    return -better(metric, mean[metric]), mean.get("log_loss", 0.0), candidate.seconds


def _lightest_first(ranked: list[Candidate], metric: str, objectives: tuple[str, ...]) -> list[Candidate]:
    """The cheapest of those within a standard error of the best (Breiman et al., 1984), then the others."""
    best = ranked[0]
    error = best.std[metric] / max(1, len(best.by_fold)) ** 0.5
    least = better(metric, best.mean[metric]) - error
    good = [one for one in ranked if better(metric, one.mean[metric]) >= least]
    good.sort(key=lambda one: tuple(_cost(one, objective) for objective in objectives))
    return good + [one for one in ranked if one not in good]


def _cost(candidate: Candidate, objective: str) -> float:
    value = candidate.latency_ms if objective == "latency" else candidate.size_bytes
    return float("inf") if value is None else float(value)


def _marked(everyone: list[Candidate], metric: str, objectives: tuple[str, ...]) -> list[Candidate]:
    """The same, those of the Pareto front marked: nobody is as good in everything and better in something."""
    if not objectives:
        return list(everyone)
    points = {
        one.number: (-better(metric, one.mean[metric]), *(_cost(one, objective) for objective in objectives))
        for one in everyone
        if metric in one.mean and one.state == "done"
    }

    def beaten(mine: tuple[float, ...]) -> bool:
        return any(
            other != mine and all(a <= b for a, b in zip(other, mine, strict=True))
            for other in points.values()
        )

    return [
        msgspec.structs.replace(one, pareto=one.number in points and not beaten(points[one.number]))
        for one in everyone
    ]


def _parts(contest: Contest, ranked: list[Candidate]) -> tuple[tuple[Part, ...], float]:
    """The members and the temperature of what is built, both judged on rows nobody had learnt from."""
    prepared, recipe, asked = contest.prepared, contest.recipe, contest.asked
    target = prepared.codes(contest.target)[asked]
    loss = loss_for(prepared.facts.task, recipe.quantiles)
    alone = recipe.estimator != AUTO or recipe.objectives
    some = ranked[:1] if alone else _affordable(contest, ranked[:_BLENDED])
    told = [contest.trials.answers(one.number)[asked] for one in some]
    weights = blend(told, target, loss, contest.gain, recipe.seed)
    if weights is None or not _no_worse(contest, told, weights):
        parts: tuple[Part, ...] = (Part(ranked[0].estimator, 1.0, ranked[0].params),)
        mixed = told[0]
    else:
        pairs = [(float(weight), one) for weight, one in zip(weights, some, strict=True) if weight > 0]
        pairs.sort(key=lambda pair: -pair[0])
        parts = tuple(Part(one.estimator, weight, one.params) for weight, one in pairs)
        mixed = np.asarray(sum(weight * one for weight, one in zip(weights, told, strict=True)))
        contest.report.log("an ensemble pays: " + ", ".join(f"{p.weight:.2f} {p.estimator}" for p in parts))
    if prepared.facts.task != CLASSIFICATION or not recipe.calibrate:
        return parts, 1.0
    return parts, temperature_for(mixed, target, loss, recipe.seed)


def _affordable(contest: Contest, ranked: list[Candidate]) -> list[Candidate]:
    """The best, and those after it that can be fitted again in the time that is left."""
    some, left_s = list[Candidate](), contest.whole_s
    for one in ranked:
        left_s -= one.final_s
        if some and left_s < 0:
            left_s += one.final_s
            continue
        some.append(one)
    return some


def _no_worse(contest: Contest, told: list[Array], weights: Array) -> bool:
    """Whether the sum is as good as the best alone in what is looked at, too."""
    asked, metric = contest.asked, contest.metric
    mixed = np.asarray(sum(weight * one for weight, one in zip(weights, told, strict=True)))
    ours, best = contest.scores(mixed, asked)[metric], contest.scores(told[0], asked)[metric]
    return better(metric, ours) >= better(metric, best)

"""What the report of a training shows: which pictures tell most about which task."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.drawing import ranked
from forebay.workshop.train.blending import loss_for
from forebay.workshop.train.choosing import Chosen
from forebay.workshop.train.fitted import Fitted
from forebay.workshop.train.importance import importances
from forebay.workshop.train.pages import Page, Picture, figures
from forebay.workshop.train.preparing import Facts, Prepared
from forebay.workshop.train.recipe import CLASSIFICATION, FORECASTING, MULTILABEL, QUANTILE, Recipe
from forebay.workshop.train.scores import MEANING, better
from forebay.workshop.train.trials import DONE, Candidate

_SHOWN = 15
_TILES = 5


def page_of(
    name: str,
    prepared: Prepared,
    chosen: Chosen,
    recipe: Recipe,
    fitted: Fitted,
    answers: Array,
    scores: dict[str, float],
    lineage: dict[str, Any],
) -> str:
    """The page of a model that was taught; *answers* are those to the held-out rows."""
    pictures = [
        *_about_task(prepared, fitted, answers),
        *_needed(prepared, recipe, fitted),
        *_learnt(fitted),
        *compared(chosen),
    ]
    best = chosen.best
    mean = best.mean if best is not None and len(chosen.parts) == 1 else {}
    order = sorted(scores, key=lambda metric: metric != chosen.metric)
    tiles = [(scores[metric], metric, _under(metric, mean)) for metric in order[:_TILES]]
    return page_for(name, prepared.facts, chosen, tiles, pictures, lineage)


def page_for(
    name: str,
    facts: Facts,
    chosen: Chosen,
    tiles: list[tuple[float, str, str]],
    pictures: list[Picture],
    lineage: dict[str, Any],
) -> str:
    """The page around *pictures*: what is the same for every task."""
    of = f" of “{facts.target}”" if facts.target else ""
    lead = (
        f"{facts.task.replace('_', ' ').capitalize()}{of} by {chosen.estimator}, trained on "
        f"{facts.rows_train:,} rows and measured on {facts.rows_held_out:,} that it has never seen."
    )
    columns = [(column.name, column.kind.value, column.missing, column.distinct) for column in facts.columns]
    shown = [] if facts.pictures else columns
    return Page(
        name or "A model", lead, tiles, pictures, facts.warnings, facts.left_out, shown, lineage
    ).html()


def compared(chosen: Chosen) -> list[Picture]:
    """The leaderboard; of a search its course, and the front of score and cost."""
    metric = chosen.metric
    through = [one for one in chosen.candidates if one.state == DONE]
    if len(through) < 2:
        return []
    best: dict[str, Candidate] = {}
    for one in sorted(through, key=lambda one: -better(metric, one.mean[metric])):
        best.setdefault(one.estimator, one)
    values = [(name, one.mean[metric]) for name, one in best.items()]
    if len(values) < 2:
        ordered = sorted(through, key=lambda one: -better(metric, one.mean[metric]))
        values = [(_called(one), one.mean[metric]) for one in ordered]
    rows = [(name, value, f"{value:.4f}") for name, value in values[:_SHOWN]]
    note = f"{metric.replace('_', ' ')} over {_folds(chosen.folds)}, each estimator at its best"
    found = [Picture("Leaderboard", note, ranked(rows, "leaderboard", marked=chosen.estimator))]
    scores = [better(metric, one.mean[metric]) for one in through]
    if len(through) > len(best) + 3:
        course = figures.history(scores, np.maximum.accumulate(scores).tolist(), metric.replace("_", " "))
        pruned = len(chosen.candidates) - len(through)
        found.append(
            Picture("The search", f"{len(through)} trials came through, {pruned} were given up", course)
        )
    return found + [_front(chosen, through, objective) for objective in chosen.objectives]


def _front(chosen: Chosen, through: list[Candidate], objective: str) -> Picture:
    cost = {"latency": "latency_ms", "size": "size_bytes"}[objective]
    unit = {"latency": "milliseconds for one row", "size": "bytes"}[objective]
    points = [
        (float(getattr(one, cost) or 0), one.mean[chosen.metric], one.pareto, one is chosen.best)
        for one in through
    ]
    svg = figures.front(points, unit, chosen.metric.replace("_", " "))
    return Picture(
        f"Score against {objective}", "the strong dots are beaten by nobody; the ring is chosen", svg
    )


def _folds(folds: int) -> str:
    return f"{folds} folds" if folds > 1 else "one split"


def _called(one: Candidate) -> str:
    return (
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in one.params.items()) or one.estimator
    )


def _under(metric: str, mean: dict[str, float]) -> str:
    return f"{mean[metric]:.3f} in cross-validation" if metric in mean else MEANING[metric].partition(";")[0]


def _about_task(prepared: Prepared, fitted: Fitted, answers: Array) -> list[Picture]:
    task, target = prepared.facts.task, prepared.held_out_target
    if task == CLASSIFICATION:
        return _of_classes(prepared, fitted, answers)
    if task == MULTILABEL:
        right = (answers >= 0.5) == (target > 0)
        rows = [
            (str(n), float(v), f"{v:.3f}") for n, v in zip(fitted.classes_, right.mean(axis=0), strict=True)
        ]
        note = "share of the held-out rows in which each label is right"
        return [Picture("Labels", note, ranked(rows, "labels", most=1.0))]
    if task == QUANTILE:
        note = f"the band holds {_inside(target, answers):.0%} of the held-out rows"
        return [Picture("Quantiles", note, figures.quantile_band(target, answers))]
    if task == FORECASTING:
        return _of_forecast(prepared, answers)
    told = answers[:, 0]
    return [
        Picture(
            "Truth and answer",
            "each dot is a held-out row; on the line it is right",
            figures.truth_and_answer(target, told),
        ),
        Picture("Residuals", "how often the answer is off by how much", figures.residuals(target, told)),
    ]


def _inside(target: Array, answers: Array) -> float:
    return float(((target >= answers[:, 0]) & (target <= answers[:, -1])).mean())


def _of_classes(prepared: Prepared, fitted: Fitted, answers: Array) -> list[Picture]:
    codes = np.searchsorted(fitted.classes_, prepared.held_out_target)
    said = answers.argmax(axis=1)
    names = list(map(str, fitted.classes_.tolist()))
    table = figures.confusion(codes, said, names)
    found = [] if table is None else [Picture("Confusion", "rows are the truth, columns what it said", table)]
    shares, right = (answers.max(axis=1), said == codes) if len(names) > 2 else (answers[:, 1], codes == 1)
    note = "on the line, probabilities mean what they say; a larger dot is more rows"
    return [*found, Picture("Calibration", note, figures.calibration(shares, right))]


def _of_forecast(prepared: Prepared, answers: Array) -> list[Picture]:
    rows, target = prepared.rows_of(prepared.held_out), prepared.held_out_target
    legend = (("what it foresaw", "--blue"), ("what was, and what came", "--soft"))
    errors = np.abs(target - answers).mean(axis=0)
    bars = [(f"step {n}", float(error), f"{error:.3g}") for n, error in enumerate(errors[:_SHOWN], start=1)]
    return [
        Picture(
            "The last forecast",
            "the last held-out window",
            figures.forecast(rows[-1], target[-1], answers[-1]),
            legend,
        ),
        Picture(
            "Error by step", "mean absolute error, the further the larger", ranked(bars, "error by step")
        ),
    ]


def _needed(prepared: Prepared, recipe: Recipe, fitted: Fitted) -> list[Picture]:
    if prepared.facts.image is not None:
        return []
    loss = loss_for(prepared.facts.task, recipe.quantiles)
    target = prepared.codes(prepared.held_out_target)
    names = [column.name for column in prepared.facts.columns]
    rows = prepared.rows_of(prepared.held_out)
    falls = importances(
        fitted.answers, rows, names, lambda told, places: -loss(told, target[places]), recipe.seed
    )
    if not falls:
        return []
    whole = loss(fitted.answers(rows), target)
    shown = [(name, fall, f"{fall / max(whole, 1e-9):+.0%}") for name, fall in list(falls.items())[:_SHOWN]]
    note = "how much the error grows when a column is shuffled among the held-out rows"
    return [Picture("What it looks at", note, ranked(shown, "importance of columns"))]


def _learnt(fitted: Fitted) -> list[Picture]:
    if len(fitted.curve) < 2:
        return []
    legend = (("rows it stops by", "--blue"), ("rows it learns from", "--soft"))
    return [Picture("Learning", "loss by epoch", figures.learning(fitted.curve), legend)]

"""The second and the third step, for tasks with a target and without."""

from __future__ import annotations

from pathlib import Path

from forebay.workshop.train.building import Trained, build_taught
from forebay.workshop.train.choosing import Chosen, choose_taught
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.recipe import UNTAUGHT, Recipe
from forebay.workshop.train.untaught import build_untaught, choose_untaught


def choose(prepared: Prepared, recipe: Recipe, report: Reporter, checkpoint: Path | None = None) -> Chosen:
    """Which estimator, with which parameters, alone or with others; what *checkpoint* holds is not redone."""
    if prepared.facts.task in UNTAUGHT:
        return choose_untaught(prepared, recipe, report)
    return choose_taught(prepared, recipe, report, checkpoint)


def build(prepared: Prepared, chosen: Chosen, recipe: Recipe, report: Reporter, *, name: str = "") -> Trained:
    """Fit, score on the held-out rows, convert with those rows as proof, and write card and lineage."""
    if prepared.facts.task in UNTAUGHT:
        return build_untaught(prepared, chosen, recipe, report, name=name)
    return build_taught(prepared, chosen, recipe, report, name=name)

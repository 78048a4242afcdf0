"""Third step: fit the chosen estimator on all training rows, score it, convert it, write it up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from forebay.core import Manifest
from forebay.workshop.convert import Converted, convert
from forebay.workshop.convert.threads import threads_for
from forebay.workshop.train.card import card_of
from forebay.workshop.train.choosing import Chosen, told_warnings
from forebay.workshop.train.estimators import candidates, pipeline_for
from forebay.workshop.train.lineage import lineage_of
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.recipe import CLASSIFICATION, Recipe
from forebay.workshop.train.scores import baseline, per_class, score

ARTIFACT = "artifact"
REPORT = "report.json"


class Report(msgspec.Struct, frozen=True):
    """What is kept with a version beside its files."""

    task: str
    estimator: str
    scores: dict[str, float]
    card: str
    lineage: dict[str, Any]
    evidence: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model: the fitted scikit-learn pipeline, and its converted self with the evidence."""

    model: Any
    converted: Converted
    report: Report

    @property
    def scores(self) -> dict[str, float]:
        """Measured on the held-out rows."""
        return self.report.scores

    @property
    def estimator(self) -> str:
        """Which one was chosen."""
        return self.report.estimator

    @property
    def task(self) -> str:
        """`classification` or `regression`."""
        return self.report.task

    @property
    def card(self) -> str:
        """What a person should know, in Markdown."""
        return self.report.card

    @property
    def lineage(self) -> dict[str, Any]:
        """Out of what, with what, when and where it was made."""
        return self.report.lineage

    @property
    def evidence(self) -> tuple[dict[str, Any], ...]:
        """Everything that was measured."""
        return self.report.evidence

    def save(self, folder: Path | str) -> Manifest:
        """Write the artifact into *folder* (made if missing) and return its manifest."""
        return self.converted.save(folder)


def build(prepared: Prepared, chosen: Chosen, recipe: Recipe, report: Reporter, *, name: str = "") -> Trained:
    """Fit, score on the held-out rows, convert with those rows as proof, and write card and lineage."""
    began = time.monotonic()
    facts = prepared.facts
    [estimator] = candidates(prepared, chosen.estimator)
    report.progress(0.0, f"fitting {estimator.name} on {facts.rows_train} rows")
    model = pipeline_for(estimator, prepared, recipe.seed)
    held_out = prepared.rows_of(prepared.held_out)
    with told_warnings(report, estimator.name), threads_for(prepared.values):
        model.fit(prepared.rows_of(prepared.train), prepared.train_target)
        scores = score(model, held_out, prepared.held_out_target, facts.task)
    for metric, value in scores.items():
        report.metric(metric, value, split="held-out")
    report.progress(0.5, "converting to ONNX and proving parity")
    columns = [column.name for column in facts.columns] if facts.named and prepared.matrix else None
    converted = convert(model, held_out, columns=columns)
    evidence = (_held_out(model, held_out, scores, prepared), _cross_validation(chosen), *converted.evidence)
    lineage = lineage_of(facts, recipe, model, chosen, fit_s=time.monotonic() - began)
    card = card_of(name, facts, chosen, evidence, converted)
    report.progress(1.0, f"{estimator.name}: {chosen.metric} {scores[chosen.metric]:.4f} on held-out rows")
    kept = Report(facts.task, estimator.name, scores, card, lineage, evidence)
    return Trained(model, converted, kept)


def save_built(trained: Trained, folder: Path) -> None:
    """Write the artifact and its report below *folder*: what registration needs."""
    trained.save(folder / ARTIFACT)
    (folder / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(trained.report), indent=1))


def load_report(folder: Path) -> Report:
    """Read the report that `save_built` wrote."""
    return msgspec.json.decode((folder / REPORT).read_bytes(), type=Report)


def _held_out(model: Any, rows: Any, scores: dict[str, float], prepared: Prepared) -> dict[str, Any]:
    facts = prepared.facts
    found: dict[str, Any] = {
        "kind": "score",
        "split": "held-out",
        "rows": facts.rows_held_out,
        "metrics": scores,
        "baseline": baseline(prepared.train_target, prepared.held_out_target, facts.task),
    }
    if facts.task == CLASSIFICATION:
        found["per_class"] = per_class(model, rows, prepared.held_out_target)
    return found


def _cross_validation(chosen: Chosen) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(chosen))
    return {"kind": "cross-validation"} | told

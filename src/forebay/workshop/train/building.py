"""Third step: fit what was chosen on all training rows, score it, convert it, write it up."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from forebay.core import REPORT_NAME, Array, Manifest
from forebay.workshop.convert import Converted
from forebay.workshop.convert.parity import ROWS_OFF, TOLERANCE
from forebay.workshop.convert.proof import prove
from forebay.workshop.convert.threads import threads_for
from forebay.workshop.train.card import card_of
from forebay.workshop.train.choosing import Chosen, Part
from forebay.workshop.train.contest import left_after, told_warnings
from forebay.workshop.train.estimators import OFFER
from forebay.workshop.train.fitted import Fitted
from forebay.workshop.train.lineage import lineage_of
from forebay.workshop.train.members import Member
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.recipe import CLASSIFICATION, FORECASTING, QUANTILE, STREAMED, Recipe
from forebay.workshop.train.reporting import page_of
from forebay.workshop.train.scores import baseline, per_class, score
from forebay.workshop.train.streaming import Stream

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
    """A trained model: as it was fitted, and its converted self with the evidence."""

    model: Any
    converted: Converted
    report: Report

    @property
    def scores(self) -> dict[str, float]:
        """Measured on the held-out rows."""
        return self.report.scores

    @property
    def estimator(self) -> str:
        """Which one was chosen; `ensemble` for several."""
        return self.report.estimator

    @property
    def task(self) -> str:
        """What it does: `classification`, `regression`, or another task of a recipe."""
        return self.report.task

    @property
    def card(self) -> str:
        """What a person should know, in Markdown."""
        return self.report.card

    @property
    def page(self) -> str:
        """The same as a page with pictures, in HTML."""
        content = self.converted.files[REPORT_NAME]
        assert isinstance(content, bytes)
        return content.decode()

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


def build_taught(
    prepared: Prepared, chosen: Chosen, recipe: Recipe, report: Reporter, *, name: str = ""
) -> Trained:
    """Fit, score on the held-out rows, convert with those rows as proof, and write card and lineage."""
    began = time.monotonic()
    fitted = _fitted(prepared, chosen, recipe, report)
    rows = prepared.rows_of(prepared.held_out)
    answers = fitted.answers(rows)
    scores = _scored(prepared, recipe, answers, rows)
    for metric, value in scores.items():
        report.metric(metric, value, split="held-out")
    report.progress(0.6, "converting to ONNX and proving parity")
    converted = _converted(fitted, prepared, rows)
    held_out = _held_out(fitted, prepared, recipe, answers, scores)
    evidence = (held_out, _contest(chosen), *converted.evidence)
    report.progress(0.8, "looking which columns matter, and drawing")
    lineage = lineage_of(prepared.facts, recipe, chosen, time.monotonic() - began, fitted.members)
    card = card_of(name, prepared.facts, chosen, evidence, converted)
    page = page_of(name, prepared, chosen, recipe, fitted, answers, scores, lineage)
    report.progress(1.0, f"{chosen.estimator}: {chosen.metric} {scores[chosen.metric]:.4f} on held-out rows")
    converted = replace(converted, files={**converted.files, REPORT_NAME: page.encode()})
    kept = Report(prepared.facts.task, chosen.estimator, scores, card, lineage, evidence)
    return Trained(fitted, converted, kept)


def save_built(trained: Trained, folder: Path) -> None:
    """Write the artifact and its report below *folder*: what registration needs."""
    trained.save(folder / ARTIFACT)
    (folder / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(trained.report), indent=1))


def load_report(folder: Path) -> Report:
    """Read the report that `save_built` wrote."""
    return msgspec.json.decode((folder / REPORT).read_bytes(), type=Report)


def _fitted(prepared: Prepared, chosen: Chosen, recipe: Recipe, report: Reporter) -> Fitted:
    rows, target = prepared.rows_of(prepared.train), prepared.codes(prepared.train_target)
    members, began = [], time.monotonic()
    before_s = prepared.facts.took_s + chosen.took_s
    for place, part in enumerate(chosen.parts):
        told = f"fitting {part.estimator} on {prepared.facts.rows_train} rows"
        report.progress(0.6 * place / len(chosen.parts), told)
        watch = _watch(report, part, place, len(chosen.parts))
        left_s = left_after(recipe, before_s + time.monotonic() - began) / (len(chosen.parts) - place)
        tried = chosen.candidate(part)
        # whatever time the trials took: what is built learns as long as what was tried
        allotted_s = max(left_s, tried.final_s if tried is not None else 0.0, 1.0)
        estimator, params = OFFER[part.estimator], dict(part.params)
        member = Member(estimator, params, prepared, recipe, watch, allotted_s)
        with told_warnings(report, part.estimator), threads_for(prepared.values):
            if prepared.others is not None and part.estimator in STREAMED:
                stream = Stream(prepared, report, allotted_s)
                members.append(member.fit_stream(rows, target, stream.parts))
            else:
                members.append(member.fit(rows, target))
    weights = [part.weight for part in chosen.parts]
    return Fitted(prepared.facts.task, members, weights, prepared.classes, chosen.temperature)


def _watch(report: Reporter, part: Part, place: int, parts: int) -> Any:
    def watch(epoch: int, epochs: int, figures: dict[str, float]) -> None:
        told = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
        done = 0.6 * (place + epoch / epochs) / parts
        report.progress(done, f"fitting {part.estimator}, epoch {epoch} of {epochs}: {told}")
        for name, value in figures.items():
            report.metric(name, value, epoch=epoch, estimator=part.estimator)

    return watch


def _scored(prepared: Prepared, recipe: Recipe, answers: Array, rows: Any) -> dict[str, float]:
    task = prepared.facts.task
    return score(
        answers,
        prepared.held_out_target,
        task,
        classes=prepared.classes if task == CLASSIFICATION else np.empty(0),
        quantiles=recipe.quantiles,
        last=rows[:, -1] if task == FORECASTING else None,
        spread=np.quantile(prepared.train_target, recipe.quantiles) if task == QUANTILE else None,
    )


def _converted(fitted: Fitted, prepared: Prepared, rows: Any) -> Converted:
    from forebay.workshop.train.serving import draft_of  # noqa: PLC0415 (heavy)

    facts = prepared.facts
    named = prepared.matrix and (facts.named or facts.task == FORECASTING)
    columns = [column.name for column in facts.columns] if named else None
    image = facts.image if facts.pictures else None
    with threads_for(len(rows) * len(facts.columns)):
        draft = draft_of(fitted, rows, columns=columns, answers=facts.answers, image=image)
        return prove(draft, TOLERANCE, ROWS_OFF)


def _held_out(
    fitted: Fitted, prepared: Prepared, recipe: Recipe, answers: Array, scores: dict[str, float]
) -> dict[str, Any]:
    facts = prepared.facts
    found: dict[str, Any] = {
        "kind": "score",
        "split": "held-out",
        "rows": facts.rows_held_out,
        "metrics": scores,
        "baseline": baseline(prepared.train_target, prepared.held_out_target, facts.task, recipe.quantiles),
    }
    if facts.task == CLASSIFICATION:
        labels = fitted.classes_[answers.argmax(axis=1)]
        found["per_class"] = per_class(labels, prepared.held_out_target, fitted.classes_)
    return found


def _contest(chosen: Chosen) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(chosen))
    return {"kind": "cross-validation"} | told

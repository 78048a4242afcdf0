"""Tasks without a target: clusters, and rows that are unlike the others."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from forebay.core import REPORT_NAME, Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.workshop.convert import Converted, Draft
from forebay.workshop.convert.edges import edges_of
from forebay.workshop.convert.parity import ROWS_OFF, TOLERANCE
from forebay.workshop.convert.predictor import Predictor
from forebay.workshop.convert.proof import prove
from forebay.workshop.convert.sample import Layout, layout_of
from forebay.workshop.convert.sources.sklearn_onnx import to_onnx
from forebay.workshop.convert.threads import threads_for
from forebay.workshop.train.building import Report, Trained
from forebay.workshop.train.card import card_of
from forebay.workshop.train.choosing import Chosen, Part
from forebay.workshop.train.estimators import Estimator
from forebay.workshop.train.features import preparation_for
from forebay.workshop.train.graphs import Canvas
from forebay.workshop.train.isolation import strangeness
from forebay.workshop.train.lineage import lineage_of
from forebay.workshop.train.pages import Picture, figures
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.recipe import ANOMALY, AUTO, CLUSTERING, Recipe
from forebay.workshop.train.reporting import compared, page_for
from forebay.workshop.train.scores import MEANING
from forebay.workshop.train.serving import input_specs
from forebay.workshop.train.trials import Candidate

K_MEANS = Estimator("k-means", {}, scaled=True, filled=True)
ISOLATION_FOREST = Estimator("isolation-forest", {}, filled=True)
_FOR = {CLUSTERING: K_MEANS, ANOMALY: ISOLATION_FOREST}
_MOST_CLUSTERS = 10
_JUDGED_ROWS = 3000
_NAMES = np.array(["normal", "anomaly"])


class Untaught:
    """A fitted pipeline that answers without having been told: a cluster, or how strange a row is."""

    def __init__(self, task: str, pipeline: Any) -> None:
        self.task, self.pipeline = task, pipeline

    def predict(self, rows: Any) -> Array:
        """The cluster of each row, or `normal` and `anomaly`."""
        if self.task == CLUSTERING:
            return np.asarray(self.pipeline.predict(rows)).astype(np.int64)
        return np.asarray(_NAMES[(self.scores(rows)[:, 0] > 0).astype(int)])

    def scores(self, rows: Any) -> Array:
        """The distance to each cluster's centre, or how strange a row is: above 0 it is an anomaly."""
        if self.task == CLUSTERING:
            return np.asarray(self.pipeline.transform(rows), dtype=np.float32)
        return -np.asarray(self.pipeline.decision_function(rows), dtype=np.float32).reshape(-1, 1)

    def tensors(self, rows: Any) -> Tensors:
        """The served model's outputs."""
        return {"label": self.predict(rows), self.output: self.scores(rows)}

    @property
    def output(self) -> str:
        """What its numbers are called."""
        return "distances" if self.task == CLUSTERING else "score"


def choose_untaught(prepared: Prepared, recipe: Recipe, report: Reporter) -> Chosen:
    """Of clusters, as many as are furthest from each other (silhouette, Rousseeuw, 1987)."""
    task = prepared.facts.task
    estimator = _FOR[task]
    if recipe.estimator not in (AUTO, estimator.name):
        raise Malformed(f"the estimator {recipe.estimator!r} does no {task}; there is {estimator.name!r}")
    if task == ANOMALY:
        part = Part(estimator.name, 1.0, dict(recipe.parameters))
        return Chosen(estimator.name, "flagged", 1, (), (), (part,))
    tried: list[Candidate] = []
    counts = (
        [int(recipe.parameters["n_clusters"])] if "n_clusters" in recipe.parameters else _counts(prepared)
    )
    for place, clusters in enumerate(counts):
        began = time.monotonic()
        model = _fitted(prepared, {"n_clusters": clusters}, recipe.seed)
        value = _silhouette(model, prepared.rows_of(prepared.train))
        took = round(time.monotonic() - began, 3)
        mean = {"silhouette": value}
        params = {"n_clusters": clusters}
        tried.append(Candidate(estimator.name, mean, {"silhouette": 0.0}, took, place, params))
        report.progress((place + 1) / len(counts), f"{clusters} clusters: silhouette {value:.4f}")
    best = max(tried, key=lambda one: one.mean["silhouette"])
    return Chosen(
        estimator.name, "silhouette", 1, tuple(tried), (), (Part(best.estimator, 1.0, best.params),)
    )


def build_untaught(
    prepared: Prepared, chosen: Chosen, recipe: Recipe, report: Reporter, *, name: str = ""
) -> Trained:
    """Fit, measure on the held-out rows, convert with them as proof, and write it up."""
    began = time.monotonic()
    [part] = chosen.parts
    report.progress(0.0, f"fitting {part.estimator} on {prepared.facts.rows_train} rows")
    model = _fitted(prepared, part.params, recipe.seed)
    rows = prepared.rows_of(prepared.held_out)
    scores, baseline = _measured(model, rows, prepared)
    for metric, value in scores.items():
        report.metric(metric, value, split="held-out")
    report.progress(0.5, "converting to ONNX and proving parity")
    converted = _converted(model, prepared, rows)
    held_out: dict[str, Any] = {
        "kind": "score",
        "split": "held-out",
        "rows": len(rows),
        "metrics": scores,
        "baseline": baseline,
    }
    contest: dict[str, Any] = {
        "kind": "cross-validation",
        "metric": chosen.metric,
        "estimator": chosen.estimator,
    }
    tried = [{"params": one.params, "mean": one.mean} for one in chosen.candidates]
    evidence = (held_out, contest | {"candidates": tried}, *converted.evidence)
    lineage = lineage_of(prepared.facts, recipe, chosen, build_s=time.monotonic() - began)
    card = card_of(name, prepared.facts, chosen, evidence, converted)
    page = _page(name, prepared, chosen, model, rows, scores, lineage)
    converted = replace(converted, files={**converted.files, REPORT_NAME: page.encode()})
    report.progress(1.0, f"{chosen.estimator}: {chosen.metric} {scores[chosen.metric]:.4f} on held-out rows")
    return Trained(model, converted, Report(model.task, chosen.estimator, scores, card, lineage, evidence))


def _page(
    name: str,
    prepared: Prepared,
    chosen: Chosen,
    model: Untaught,
    rows: Any,
    scores: dict[str, float],
    lineage: dict[str, Any],
) -> str:
    if model.task == CLUSTERING:
        features = model.pipeline[:-1].transform(rows)
        note = "held-out rows on their two main axes, coloured by cluster"
        picture = Picture("Clusters", note, figures.plane(np.asarray(features), model.predict(rows)))
    else:
        note = "how strange the held-out rows are; right of the line they are called anomalies"
        picture = Picture("Scores", note, figures.strangeness(model.scores(rows)[:, 0]))
    tiles = [(value, metric, MEANING[metric].partition(";")[0]) for metric, value in scores.items()]
    return page_for(name, prepared.facts, chosen, tiles, [picture, *compared(chosen)], lineage)


def _counts(prepared: Prepared) -> list[int]:
    return list(range(2, min(_MOST_CLUSTERS, prepared.facts.rows_train - 1) + 1))


def _fitted(prepared: Prepared, params: dict[str, Any], seed: int) -> Untaught:
    from sklearn.cluster import KMeans  # noqa: PLC0415 (heavy)
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 (heavy)
    from sklearn.pipeline import Pipeline  # noqa: PLC0415 (heavy)

    task = prepared.facts.task
    estimator = _FOR[task]
    if task == CLUSTERING:
        model = KMeans(**{"n_init": 4, "random_state": seed, **params})
    else:
        model = IsolationForest(**{"n_estimators": 100, "random_state": seed, **params})
    pipeline = Pipeline([("prepare", preparation_for(estimator, prepared)), ("model", model)])
    with threads_for(prepared.values):
        return Untaught(task, pipeline.fit(prepared.rows_of(prepared.train)))


def _silhouette(model: Untaught, rows: Any) -> float:
    from sklearn.metrics import silhouette_score  # noqa: PLC0415 (heavy)

    rows = rows[:_JUDGED_ROWS]
    labels = model.predict(rows)
    if len(np.unique(labels)) < 2:
        return 0.0
    return float(silhouette_score(model.pipeline[:-1].transform(rows), labels))


def _measured(model: Untaught, rows: Any, prepared: Prepared) -> tuple[dict[str, float], dict[str, float]]:
    """Scores on the held-out rows, and what the laziest answer would have."""
    if model.task == CLUSTERING:
        return {"silhouette": _silhouette(model, rows)}, {"silhouette": 0.0}
    strange = model.scores(rows)[:, 0]
    found = {"flagged": float((strange > 0).mean())}
    known = prepared.held_out_target
    if 0 < known.sum() < len(known):
        from sklearn.metrics import roc_auc_score  # noqa: PLC0415 (heavy)

        found["auc"] = float(roc_auc_score(known, strange))
    return found, {"auc": 0.5} if "auc" in found else {}


def _converted(model: Untaught, prepared: Prepared, rows: Any) -> Converted:
    columns = [c.name for c in prepared.facts.columns] if prepared.matrix and prepared.facts.named else None
    layout = layout_of(rows, columns, by_name=hasattr(rows, "columns"))
    inputs = input_specs(layout, named=columns is not None)
    canvas = Canvas()
    fed = {spec.name: spec.name for spec in inputs}
    outputs = (_clusters if model.task == CLUSTERING else _strange)(canvas, model, layout, fed)
    info = ArtifactInfo(Signature(inputs, outputs), task=model.task)
    draft = Draft(
        origin=_FOR[model.task].name,
        files={info.model: canvas.model(inputs, outputs).SerializeToString(deterministic=True)},
        info=info,
        rows=rows,
        ask=model.tensors,
        tensors=layout.tensors,
        edges=edges_of(rows, one_by_one=layout.joined is None),
    )
    with threads_for(len(rows) * len(prepared.facts.columns)):
        return prove(draft, TOLERANCE, ROWS_OFF)


def _clusters(canvas: Canvas, model: Untaught, layout: Layout, fed: dict[str, str]) -> tuple[TensorSpec, ...]:
    functions = {"label": model.pipeline.predict, "distances": model.pipeline.transform}
    label, told = canvas.include(to_onnx(Predictor(model.pipeline, "", (), functions), layout), fed)
    canvas.name(canvas.cast(label, DataType.INT64), "label")
    canvas.name(told, "distances")
    clusters = model.pipeline[-1].n_clusters
    names = tuple(map(str, range(clusters)))
    return (
        TensorSpec("label", DataType.INT64, (-1,)),
        TensorSpec("distances", DataType.FP32, (-1, clusters), names),
    )


def _strange(canvas: Canvas, model: Untaught, layout: Layout, fed: dict[str, str]) -> tuple[TensorSpec, ...]:
    preparation = model.pipeline[:-1]
    proto = to_onnx(Predictor(preparation, "", (), {"features": preparation.transform}), layout)
    [features] = canvas.include(proto, fed)
    score = strangeness(canvas, model.pipeline[-1], features)
    flat = canvas.op("Reshape", score, canvas.constant(np.array([-1])))
    above = canvas.cast(canvas.op("Greater", flat, canvas.constant(np.float32(0))), DataType.INT64)
    canvas.name(canvas.op("Gather", canvas.constant(_NAMES), above, axis=0), "label")
    canvas.name(score, "score")
    return TensorSpec("label", DataType.BYTES, (-1,)), TensorSpec("score", DataType.FP32, (-1, 1))

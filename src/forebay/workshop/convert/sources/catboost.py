"""CatBoost: its models in memory, and its own cbm and JSON on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.core.extras import need
from forebay.workshop.convert.columnar import model_of
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.predictor import Predictor
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.running import first_line
from forebay.workshop.convert.sample import columns_of
from forebay.workshop.convert.sources.catboost_graph import nodes_for
from forebay.workshop.convert.sources.catboost_model import EXPONENTIAL, describe
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES, begin, finish, outputs_of

_HEAD_BYTES = 1 << 16


class CatBoost:
    """Trees of every growth and most losses, on numbers."""

    name = "CatBoost"

    def knows(self, model: object) -> bool:
        return is_from(model, "catboost")

    def reads(self, path: Path) -> bool:
        return path.is_file() and _format_of(path) is not None

    def runs_code(self, path: Path) -> str | None:  # noqa: ARG002 (the contract's)
        return None

    def load(self, path: Path) -> Any:
        catboost = need("catboost", "boost")
        try:
            return catboost.CatBoost().load_model(str(path), format=_format_of(path))
        except catboost.CatBoostError as error:
            raise Malformed(f"{path.name} is no model that CatBoost reads: {first_line(error)}") from error

    def draft(self, model: Any, given: Given) -> Draft:
        catboost = need("catboost", "boost")
        if not model.is_fitted():
            raise Malformed(f"the {type(model).__name__} is not fitted; call fit before convert")
        described = describe(model)
        predictor = _predictor(catboost, model, described.loss)
        work = begin(predictor, given, _names(model), by_name=False)
        outputs = {name: name for name in predictor.functions}
        nodes = nodes_for(described, "x", outputs, predictor.classes)
        proto = model_of(work.layout, nodes, outputs_of(work), [None] * len(work.layout.names))
        origin = f"CatBoost {catboost.__version__} {type(model).__name__} ({described.loss})"
        return finish(work, proto, origin, given)


def _format_of(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(_HEAD_BYTES)
    if start.startswith(b"CBM1"):
        return "cbm"
    ours = start.lstrip().startswith(b"{") and b'"float_features"' in start and b'"features_info"' in start
    return "json" if ours else None


def _names(model: Any) -> list[str] | None:
    """The columns' names, unless CatBoost made them up."""
    names = list(model.feature_names_)
    return None if names == [str(number) for number in range(len(names))] else names


def _predictor(catboost: Any, model: Any, loss: str) -> Predictor:
    def ask(table: Any, kind: str) -> Array:
        rows = np.column_stack(list(columns_of(table).values())) if hasattr(table, "schema") else table
        return np.asarray(catboost.CatBoost.predict(model, rows, prediction_type=kind))

    classes = tuple(np.asarray(model.classes_).tolist())
    if classes:
        functions = {
            LABEL: lambda table: ask(table, "Class").reshape(len(table)),
            PROBABILITIES: lambda table: ask(table, "Probability"),
        }
        return Predictor(model, "classification", classes, functions)
    kind = "Exponent" if loss in EXPONENTIAL else "RawFormulaVal"
    return Predictor(model, "regression", (), {PREDICTION: lambda table: ask(table, kind)})

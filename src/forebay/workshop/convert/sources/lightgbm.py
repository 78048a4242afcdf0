"""LightGBM: boosters and the estimators around them, in memory, and its own text on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.categories import as_categories, without_categories
from forebay.workshop.convert.columnar import model_of
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.predictor import Predictor
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.running import first_line
from forebay.workshop.convert.sources.lightgbm_graph import MULTICLASS, nodes_for
from forebay.workshop.convert.sources.lightgbm_model import Described, describe
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES, begin, finish, outputs_of

_START = b"tree\nversion="


class LightGBM:
    """Trees of every boosting and every built-in objective, categories included."""

    name = "LightGBM"

    def knows(self, model: object) -> bool:
        return is_from(model, "lightgbm")

    def reads(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(64).replace(b"\r\n", b"\n").startswith(_START)

    def runs_code(self, path: Path) -> str | None:  # noqa: ARG002 (the contract's)
        return None

    def load(self, path: Path) -> Any:
        lightgbm = need("lightgbm", "boost")
        try:
            return lightgbm.Booster(model_file=path)
        except lightgbm.basic.LightGBMError as error:
            raise Malformed(f"{path.name} is no model that LightGBM reads: {first_line(error)}") from error

    def draft(self, model: Any, given: Given) -> Draft:
        lightgbm = need("lightgbm", "boost")
        booster = model if isinstance(model, lightgbm.Booster) else _booster_of(model)
        described = describe(booster)
        predictor = _predictor(model, described)
        coded = any(values is not None for values in described.categories)
        given = without_categories(given, described.categories)
        work = begin(predictor, given, _names(described), by_name=coded)
        nodes = nodes_for(described, "x", {name: name for name in predictor.functions}, predictor.classes)
        proto = model_of(work.layout, nodes, outputs_of(work), described.categories)
        origin = f"LightGBM {lightgbm.__version__} {type(model).__name__} ({described.objective})"
        return finish(work, proto, origin, given)


def _names(described: Described) -> list[str] | None:
    """The columns' names, unless LightGBM made them up."""
    made_up = [f"Column_{number}" for number in range(len(described.names))]
    return None if described.names == made_up else described.names


def _booster_of(model: Any) -> Any:
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415 (heavy)

    try:
        return model.booster_
    except NotFittedError:
        raise Malformed(f"the {type(model).__name__} is not fitted; call fit before convert") from None


def _predictor(model: Any, described: Described) -> Predictor:
    def rows(table: Any) -> Any:
        return as_categories(table, described.categories)

    if hasattr(model, "predict_proba"):
        if described.objective == "custom":
            raise Unsupported(
                "with an objective of your own there are no probabilities; publish model.booster_"
            )
        functions = {
            LABEL: lambda table: model.predict(rows(table)),
            PROBABILITIES: lambda table: model.predict_proba(rows(table)),
        }
        return Predictor(model, "classification", tuple(model.classes_.tolist()), functions)
    if hasattr(model, "booster_") or described.objective not in {"binary", *MULTICLASS}:
        return Predictor(model, "regression", (), {PREDICTION: lambda table: model.predict(rows(table))})

    def probabilities(table: Any) -> Array:
        answer = np.asarray(model.predict(rows(table)))
        return answer if answer.ndim == 2 else np.column_stack([1 - answer, answer])

    functions = {LABEL: lambda table: probabilities(table).argmax(axis=1), PROBABILITIES: probabilities}
    return Predictor(model, "classification", tuple(range(max(described.groups, 2))), functions)

"""XGBoost: boosters and the estimators around them, in memory, and its own JSON and UBJ on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
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
from forebay.workshop.convert.sources.xgboost_graph import nodes_for
from forebay.workshop.convert.sources.xgboost_model import BINARY, MULTICLASS, Described, describe, rounds_of
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES, begin, finish, outputs_of

_JSON_START, _UBJ_START = b'{"learner"', b"{L"
_KINDS = {"classifier": "XGBClassifier", "regressor": "XGBRegressor", "ranker": "XGBRanker"}


class XGBoost:
    """Trees (also DART and categories) and linear boosters, of every built-in objective."""

    name = "XGBoost"

    def knows(self, model: object) -> bool:
        return is_from(model, "xgboost")

    def reads(self, path: Path) -> bool:
        if path.suffix.lower() not in (".json", ".ubj", ".xgb", ".model", ".bin") or not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(64)
        plain = start.translate(None, b" \t\r\n")
        return plain.startswith(_JSON_START) or (start.startswith(_UBJ_START) and b"learner" in start)

    def runs_code(self, path: Path) -> str | None:  # noqa: ARG002 (the contract's)
        return None

    def load(self, path: Path) -> Any:
        xgboost = need("xgboost", "boost")
        try:
            booster = xgboost.Booster(model_file=path)
            kind = msgspec.json.decode(booster.attr("scikit_learn") or b"{}").get("_estimator_type")
            if kind not in _KINDS:
                return booster
            estimator = getattr(xgboost, _KINDS[kind])()
            estimator.load_model(path)
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise Malformed(f"{path.name} is no model that XGBoost reads: {first_line(error)}") from error
        return estimator

    def draft(self, model: Any, given: Given) -> Draft:
        xgboost = need("xgboost", "boost")
        booster = model if isinstance(model, xgboost.Booster) else _booster_of(model)
        described = describe(booster, rounds_of(model))
        predictor = _predictor(model, booster, described)
        given = without_categories(given, described.categories)
        work = begin(predictor, given, booster.feature_names, by_name=described.coded)
        nodes = nodes_for(described, "x", {name: name for name in predictor.functions})
        proto = model_of(work.layout, nodes, outputs_of(work), described.categories)
        origin = f"XGBoost {xgboost.__version__} {type(model).__name__} ({described.objective})"
        return finish(work, proto, origin, given)


def _booster_of(model: Any) -> Any:
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415 (heavy)

    try:
        return model.get_booster()
    except (NotFittedError, AttributeError):
        raise Malformed(f"the {type(model).__name__} is not fitted; call fit before convert") from None


def _predictor(model: Any, booster: Any, described: Described) -> Predictor:
    if hasattr(model, "predict_proba"):
        if np.ndim(model.n_classes_) or (described.groups > 1 and described.objective in BINARY):
            raise Unsupported("the model has several targets; train and convert one model for each")
        functions = {
            LABEL: lambda table: model.predict(as_categories(table, described.categories)),
            PROBABILITIES: lambda table: model.predict_proba(as_categories(table, described.categories)),
        }
        return Predictor(model, "classification", tuple(model.classes_.tolist()), functions)
    if hasattr(model, "get_booster"):
        ask = {PREDICTION: lambda table: model.predict(as_categories(table, described.categories))}
        return Predictor(model, "regression", (), ask)
    answers = _Answers(booster, described)
    if described.objective in MULTICLASS:
        classes = tuple(range(described.groups))
        functions = {LABEL: answers.best, PROBABILITIES: answers.softmax}
        return Predictor(model, "classification", classes, functions)
    if described.objective == "binary:logistic":
        functions = {LABEL: answers.above_half, PROBABILITIES: answers.both}
        return Predictor(model, "classification", (0, 1), functions)
    return Predictor(model, "regression", (), {PREDICTION: answers.prediction})


class _Answers:
    """What a bare booster says to rows of any kind."""

    def __init__(self, booster: Any, described: Described) -> None:
        self._booster = booster
        self._categories = described.categories

    def _ask(self, table: Any, **options: Any) -> Array:
        import xgboost  # noqa: PLC0415 (heavy)

        booster, table = self._booster, as_categories(table, self._categories)
        named: dict[str, Any] = {} if hasattr(table, "columns") else {"feature_names": booster.feature_names}
        if not hasattr(table, "columns") and "c" in (booster.feature_types or ()):
            named["feature_types"] = booster.feature_types
        rows = xgboost.DMatrix(table, enable_categorical=True, **named)
        return np.asarray(
            booster.predict(rows, validate_features=booster.feature_names is not None, **options)
        )

    def prediction(self, table: Any) -> Array:
        return self._ask(table)

    def both(self, table: Any) -> Array:
        positive = self._ask(table)
        return np.column_stack([1 - positive, positive])

    def above_half(self, table: Any) -> Array:
        return (self._ask(table) > 0.5).astype(np.int64)

    def softmax(self, table: Any) -> Array:
        margin = self._ask(table, output_margin=True)
        powers = np.exp(margin - margin.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def best(self, table: Any) -> Array:
        return np.asarray(self._ask(table, output_margin=True).argmax(axis=1))

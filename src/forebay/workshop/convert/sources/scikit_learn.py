"""scikit-learn: fitted estimators and pipelines."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from forebay.core import ArtifactInfo, Signature
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.predictor import Predictor
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.running import opened
from forebay.workshop.convert.sample import in_doubles
from forebay.workshop.convert.sources.sklearn_onnx import to_onnx
from forebay.workshop.convert.sources.sklearn_parts import parts, picks_by_name
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES, Work, begin, finish

_BOOSTERS = ("xgboost", "lightgbm", "catboost")
_HISTOGRAM = "HistGradientBoosting"


class ScikitLearn:
    """Estimators, and pipelines of them."""

    name = "scikit-learn"

    def knows(self, model: object) -> bool:
        return is_from(model, "sklearn")

    def reads(self, path: Path) -> bool:  # noqa: ARG002 (the contract's)
        return False

    def runs_code(self, path: Path) -> str | None:  # noqa: ARG002 (the contract's)
        return None

    def load(self, path: Path) -> Any:
        raise AssertionError(f"nothing reads {path}")

    def draft(self, model: Any, given: Given) -> Draft:
        predictor = predictor_of(model)
        names = getattr(model, "feature_names_in_", None)
        work = begin(predictor, given, names, by_name=picks_by_name(model))
        work, proto = _converted(predictor, work)
        origin = f"scikit-learn {need('sklearn', 'sklearn').__version__} {_label(model)}"
        return finish(work, proto, origin, given)


def _converted(predictor: Predictor, work: Work) -> tuple[Work, Any]:
    """Boosters split at the very values of their fit: what is scaled for them keeps all digits."""
    inner = (part for path, part in parts(predictor.model) if path)
    if any(is_from(part, *_BOOSTERS) or type(part).__name__.startswith(_HISTOGRAM) for part in inner):
        exact = replace(work, layout=in_doubles(work.layout))
        with suppress(Unsupported, Malformed):  # some steps know no doubles, here or in ONNX Runtime
            proto = to_onnx(predictor, exact.layout)
            info = ArtifactInfo(Signature((), ()))
            with opened({info.model: proto.SerializeToString()}, info):
                return exact, proto
    return work, to_onnx(predictor, work.layout)


def predictor_of(model: Any) -> Predictor:
    """Look *model* over; raises `Unsupported` for what serves nothing, `Malformed` where it is not fitted."""
    need("sklearn", "sklearn")
    from sklearn.base import is_classifier, is_outlier_detector, is_regressor  # noqa: PLC0415 (heavy)

    _must_be_fitted(model)
    if is_classifier(model):
        return _classifier(model)
    if is_regressor(model):
        return Predictor(model, "regression", (), {PREDICTION: model.predict})
    if is_outlier_detector(model):
        return Predictor(model, "", (), {LABEL: model.predict, "score": model.decision_function})
    if hasattr(model, "predict"):
        return Predictor(model, "", (), {LABEL: model.predict})
    if hasattr(model, "transform"):
        return Predictor(model, "", (), {"features": model.transform})
    raise Unsupported(
        f"a {type(model).__name__} has neither predict nor transform; there is nothing to serve"
    )


def _classifier(model: Any) -> Predictor:
    classes = model.classes_
    if isinstance(classes, list):
        raise Unsupported("the model has several targets; train and convert one model for each")
    functions = {LABEL: model.predict}
    if hasattr(model, "predict_proba"):
        functions[PROBABILITIES] = model.predict_proba
    return Predictor(model, "classification", tuple(classes.tolist()), functions)


def _must_be_fitted(model: Any) -> None:
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415 (heavy)
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415 (heavy)

    try:
        check_is_fitted(model)
    except NotFittedError:
        raise Malformed(f"the {type(model).__name__} is not fitted; call fit before convert") from None


def _label(model: Any) -> str:
    """The model's class, as a person calls it."""
    steps = getattr(model, "steps", None)
    inner = f" of {type(steps[-1][1]).__name__}" if steps else ""
    return type(model).__name__ + inner

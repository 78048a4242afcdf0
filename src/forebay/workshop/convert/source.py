"""What a scikit-learn model does, asked of the model itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need


@dataclass(frozen=True, slots=True)
class Source:
    """A fitted model: its task, its classes, and the functions behind its outputs."""

    model: Any
    task: str
    classes: tuple[Any, ...]
    functions: dict[str, Callable[[Any], Any]]

    def answer(self, table: Any) -> Tensors:
        """What the model itself says to the rows of *table*."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about NaN and unseen categories, which we ask on purpose
            return {name: np.asarray(ask(table)) for name, ask in self.functions.items()}

    def accepts(self, table: Any) -> bool:
        """Whether the model answers these rows at all, and with numbers."""
        try:
            answers = self.answer(table)
        except (ValueError, TypeError, AttributeError):  # scikit-learn's ways to refuse a row
            return False
        return all(_finite(values) for values in answers.values())

    @property
    def label(self) -> str:
        """The model's class, as a person calls it."""
        steps = getattr(self.model, "steps", None)
        inner = f" of {type(steps[-1][1]).__name__}" if steps else ""
        return type(self.model).__name__ + inner


def source_of(model: Any) -> Source:
    """Look *model* over; raises `Unsupported` for what is no fitted scikit-learn model."""
    need("sklearn", "sklearn")
    from sklearn.base import BaseEstimator, is_classifier, is_regressor  # noqa: PLC0415 (heavy)

    if not isinstance(model, BaseEstimator):
        what = f"{type(model).__module__}.{type(model).__name__}"
        raise Unsupported(f"convert reads fitted scikit-learn models, and this is a {what}")
    _must_be_fitted(model)
    if is_classifier(model):
        return _classifier(model)
    if is_regressor(model):
        return Source(model, "regression", (), {"prediction": model.predict})
    if hasattr(model, "predict"):
        return Source(model, "", (), {"label": model.predict})
    if hasattr(model, "transform"):
        return Source(model, "", (), {"features": model.transform})
    raise Unsupported(
        f"a {type(model).__name__} has neither predict nor transform; there is nothing to serve"
    )


def _classifier(model: Any) -> Source:
    classes = model.classes_
    if isinstance(classes, list):
        raise Unsupported("the model has several targets; train and convert one model for each")
    functions = {"label": model.predict}
    if hasattr(model, "predict_proba"):
        functions["probabilities"] = model.predict_proba
    return Source(model, "classification", tuple(classes.tolist()), functions)


def _must_be_fitted(model: Any) -> None:
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415 (heavy)
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415 (heavy)

    try:
        check_is_fitted(model)
    except NotFittedError:
        raise Malformed(f"the {type(model).__name__} is not fitted; call fit before convert") from None


def parts(model: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """*model* and everything fitted inside it, each with its path: `prepare/numbers/scale`."""
    yield path, model
    for name, part in _children(model):
        if hasattr(part, "get_params"):
            yield from parts(part, f"{path}/{name}" if path else name)


def _children(model: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(model, "transformers_"):
        yield from ((name, part) for name, part, _ in model.transformers_)
    elif hasattr(model, "steps"):
        yield from model.steps
    elif hasattr(model, "transformer_list"):
        yield from model.transformer_list
    elif hasattr(model, "best_estimator_"):
        yield "best", model.best_estimator_
    elif hasattr(model, "estimator_"):
        yield "estimator", model.estimator_


def picks_by_name(model: Any) -> bool:
    """Whether a ColumnTransformer in *model* asks for its columns by their names."""
    return any(
        _is_name(columns) for _, part in parts(model) for _, _, columns in getattr(part, "transformers_", ())
    )


def _is_name(columns: Any) -> bool:
    if isinstance(columns, str):
        return True
    return isinstance(columns, list | tuple | np.ndarray) and any(isinstance(name, str) for name in columns)


def _finite(values: Array) -> bool:
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).all())

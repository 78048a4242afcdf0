"""What a scikit-learn model is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


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

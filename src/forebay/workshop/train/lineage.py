"""Out of what, with what, when and where a model was made."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from forebay.workshop.train.choosing import Chosen
from forebay.workshop.train.preparing import Facts
from forebay.workshop.train.recipe import Recipe

_PACKAGES = ("numpy", "onnx", "onnxruntime", "polars", "scikit-learn", "skl2onnx")


def lineage_of(facts: Facts, recipe: Recipe, model: Any, chosen: Chosen, fit_s: float) -> dict[str, Any]:
    """Enough to make the model again, and to know what changed when it comes out otherwise."""
    return {
        "data": {
            "origin": facts.origin,
            "sha256": facts.sha256,
            "rows": facts.rows,
            "rows_train": facts.rows_train,
            "rows_held_out": facts.rows_held_out,
            "columns": [msgspec.to_builtins(column) for column in facts.columns],
            "left_out": list(facts.left_out),
        },
        "recipe": msgspec.to_builtins(recipe),
        "estimator": {"name": chosen.estimator, "parameters": _parameters(model)},
        "code": {"forebay": release_of("forebay"), "python": platform.python_version()}
        | {name: release_of(name) for name in _PACKAGES},
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "duration_s": {
            "compare": round(sum(candidate.seconds for candidate in chosen.candidates), 3),
            "build": round(fit_s, 3),
        },
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def release_of(package: str) -> str:
    """The installed version of *package*; `unknown` where it runs from its source tree."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _parameters(model: Any) -> dict[str, Any]:
    """The estimator's own parameters, as far as they are plain values."""
    plain = (str, int, float, bool, type(None))
    params = model.steps[-1][1].get_params(deep=False)
    return {name: value for name, value in sorted(params.items()) if isinstance(value, plain)}

"""Out of what, with what, when and where a model was made."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from forebay.workshop.train.choosing import Chosen
from forebay.workshop.train.estimators import OFFER
from forebay.workshop.train.members import Member
from forebay.workshop.train.preparing import Facts
from forebay.workshop.train.recipe import Recipe

_PACKAGES = ("numpy", "onnx", "onnxruntime", "polars", "scikit-learn", "skl2onnx")
_PACKAGES_OF = {"keras": ("keras", "tensorflow-cpu"), "xgboost": ("xgboost-cpu",), "sklearn": ()}
_WATTS = 10.0
"""What a busy core of a server is taken to draw, with its share of memory and supply."""


def lineage_of(
    facts: Facts, recipe: Recipe, chosen: Chosen, build_s: float, members: Sequence[Member] = ()
) -> dict[str, Any]:
    """Enough to make the model again, and to know what changed when it comes out otherwise."""
    compare_s = sum(candidate.seconds for candidate in chosen.candidates)
    return {
        "data": {
            "origin": facts.origin,
            "sha256": facts.sha256,
            "rows": facts.rows,
            "rows_train": facts.rows_train,
            "rows_held_out": facts.rows_held_out,
            "rows_streamed": facts.rows_streamed,
            "split": facts.split,
            "columns": [msgspec.to_builtins(column) for column in facts.columns],
            "left_out": list(facts.left_out),
        },
        "recipe": msgspec.to_builtins(recipe),
        "estimator": {
            "name": chosen.estimator,
            "parts": [msgspec.to_builtins(part) for part in chosen.parts],
            "precision": {one.estimator.name: one.precision for one in members if one.precision},
        },
        "code": {
            "forebay": release_of("forebay"),
            "sha256": _code_digest(),
            "python": platform.python_version(),
        }
        | {name: release_of(name) for name in (*_PACKAGES, *_packages_of(chosen))},
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "duration_s": {"compare": round(compare_s, 3), "build": round(build_s, 3)},
        "energy": {
            "watt_hours": round((compare_s + build_s) * _WATTS / 3600, 4),
            "how": f"estimated: the time it took, at {_WATTS:g} W for one busy core",
        },
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _packages_of(chosen: Chosen) -> list[str]:
    modules = {OFFER[part.estimator].module for part in chosen.parts if part.estimator in OFFER}
    return [name for module in sorted(modules) for name in _PACKAGES_OF.get(module, (module,))]


@functools.cache
def _code_digest() -> str:
    """SHA-256 over the sources of the workshop: two models of one digest were made by the same code."""
    sha256, root = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        sha256.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return sha256.hexdigest()


def release_of(package: str) -> str:
    """The installed version of *package*; `unknown` where it runs from its source tree."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"

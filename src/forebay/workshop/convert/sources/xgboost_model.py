"""An XGBoost model as it describes itself, in its own JSON: trees, objective, base margin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported

LOGISTIC = frozenset({"binary:logistic", "reg:logistic"})
EXPONENTIAL = frozenset({"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"})
MULTICLASS = frozenset({"multi:softprob", "multi:softmax"})
BINARY = frozenset({"binary:logistic", "binary:logitraw", "binary:hinge"})


@dataclass(frozen=True, slots=True)
class Described:
    """What matters of a booster. `groups` is how many margins a row has."""

    objective: str
    features: int
    groups: int
    base: Array
    """Float32 of shape [groups]: the margins of no tree at all."""
    trees: list[tuple[int, float, dict[str, Any]]]
    """The group that a tree adds to, by how much, and the tree."""
    linear: Array | None
    """Float32 of shape [features + 1, groups], the bias last, of a linear booster."""
    categories: list[list[Any] | None]
    """For each feature the categories behind its codes, None for numbers."""

    @property
    def coded(self) -> bool:
        """Whether a feature's values are categories."""
        return any(values is not None for values in self.categories)


def describe(booster: Any, rounds: int | None) -> Described:
    """Read *booster*; only the first *rounds* count, None for all. Raises `Unsupported`."""
    document: dict[str, Any] = msgspec.json.decode(booster.save_raw("json"))
    learner = document["learner"]
    parameters, boosting = learner["learner_model_param"], learner["gradient_booster"]
    features = int(parameters["num_feature"])
    groups = max(int(parameters["num_class"]), int(parameters["num_target"]), 1)
    model = boosting["gbtree"]["model"] if boosting["name"] == "dart" else boosting["model"]
    linear = np.array(model["weights"], np.float32).reshape(-1, groups) if "weights" in model else None
    return Described(
        learner["objective"]["name"],
        features,
        groups,
        _base(document, groups, features),
        [] if linear is not None else list(_trees(model, boosting.get("weight_drop"), rounds)),
        linear,
        _categories(model, features),
    )


def rounds_of(model: Any) -> int | None:
    """The estimators answer with the best iteration of an early stop, a bare booster with all."""
    best = None
    if hasattr(model, "get_booster"):
        best = model.get_booster().attr("best_iteration")
    return None if best is None else int(best) + 1


def _trees(
    model: dict[str, Any], weights: list[float] | None, rounds: int | None
) -> Iterator[tuple[int, float, dict[str, Any]]]:
    last = len(model["trees"]) if rounds is None else model["iteration_indptr"][rounds]
    for number, tree in enumerate(model["trees"][:last]):
        if int(tree["tree_param"]["size_leaf_vector"]) > 1:
            raise Unsupported(
                "trees with a vector in each leaf have no place in ONNX; "
                "fit again with multi_strategy='one_output_per_tree'"
            )
        yield model["tree_info"][number], 1.0 if weights is None else weights[number], tree


def _base(document: dict[str, Any], groups: int, features: int) -> Array:
    """What XGBoost itself answers without its trees: each objective hides its base score elsewhere."""
    import xgboost  # noqa: PLC0415 (heavy)

    learner = document["learner"]
    boosting = learner["gradient_booster"]
    learner = {**learner, "gradient_booster": {**boosting, **_without_trees(boosting, groups)}}
    bare = {**document, "learner": learner}
    empty = xgboost.Booster(model_file=bytearray(msgspec.json.encode(bare)))
    row = np.zeros((1, features), np.float32)
    names, types = empty.feature_names, empty.feature_types
    margin = empty.predict(xgboost.DMatrix(row, feature_names=names, feature_types=types), output_margin=True)
    return np.broadcast_to(np.asarray(margin, np.float32).ravel(), (groups,))


def _without_trees(boosting: dict[str, Any], groups: int) -> dict[str, Any]:
    """What has to change: weights of zero, or for each group one tree that is one leaf of zero."""
    if boosting["name"] == "dart":
        inner = boosting["gbtree"]
        return {"gbtree": {**inner, **_without_trees(inner, groups)}, "weight_drop": [1.0] * groups}
    model = boosting["model"]
    if "weights" in model:
        return {"model": {**model, "weights": [0.0] * len(model["weights"])}}
    trees = [{**_LEAF, "id": group} for group in range(groups)]
    parameters = {"num_parallel_tree": "1", "num_trees": str(groups)}
    bare = {"trees": trees, "tree_info": list(range(groups)), "iteration_indptr": [0, groups]}
    return {"model": {**model, **bare, "gbtree_model_param": parameters}}


_LEAF: dict[str, Any] = {
    **{name: [] for name in ("categories", "categories_nodes", "categories_segments", "categories_sizes")},
    **{name: [-1] for name in ("left_children", "right_children")},
    **{name: [0] for name in ("default_left", "split_indices", "split_type")},
    **{name: [0.0] for name in ("base_weights", "loss_changes", "split_conditions", "sum_hessian")},
    "parents": [2147483647],  # nobody's child
    "tree_param": {"num_deleted": "0", "num_feature": "0", "num_nodes": "1", "size_leaf_vector": "1"},
}


def _categories(model: dict[str, Any], features: int) -> list[list[Any] | None]:
    encoded = model.get("cats", {}).get("enc", [])
    found: list[list[Any] | None] = [_values(entry) for entry in encoded]
    return found or [None] * features


def _values(entry: dict[str, Any]) -> list[Any] | None:
    if not entry["values"]:
        return None
    if "offsets" not in entry:
        return list(entry["values"])
    text = bytes(value & 0xFF for value in entry["values"])  # XGBoost writes them with a sign
    offsets = entry["offsets"]
    return [text[start:end].decode() for start, end in pairwise(offsets)]

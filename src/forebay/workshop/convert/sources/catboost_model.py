"""A CatBoost model as it describes itself, in its own JSON: trees, loss, bias."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.convert.tree_nodes import Leaf, Split, Tree

EXPONENTIAL = frozenset({"Poisson", "Tweedie", "LogLinQuantile"})
_STRANGE = frozenset({"RMSEWithUncertainty", "MultiLogloss", "MultiCrossEntropy"})
_FLOAT = "FloatFeature"


@dataclass(frozen=True, slots=True)
class Described:
    """What matters of a model; `base` is float64 of shape [groups], which is how many scores a row has."""

    loss: str
    base: Array
    trees: list[Tree]


def describe(model: Any) -> Described:
    """Read *model*; raises `Unsupported` for what has no place in ONNX, with its name."""
    _must_be_numbers(model)
    loss = _loss_of(model)
    with TemporaryDirectory(prefix="forebay-") as folder:
        path = Path(folder, "model.json")
        model.save_model(str(path), format="json")
        document: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    scale, bias = document["scale_and_bias"]
    base = np.atleast_1d(np.array(bias, np.float64))
    groups = max(len(base), _groups(document))
    return Described(loss, np.broadcast_to(base, (groups,)), list(_trees(document, scale)))


def _must_be_numbers(model: Any) -> None:
    kinds = {
        "categorical": model.get_cat_feature_indices(),
        "text": model.get_text_feature_indices(),
        "embedding": model.get_embedding_feature_indices(),
    }
    for kind, columns in kinds.items():
        if columns:
            names = [model.feature_names_[column] for column in columns[:8]]
            raise Unsupported(
                f"CatBoost computes with its {kind} features ({', '.join(names)}) in a way that has no place "
                "in ONNX; encode them before fit (scikit-learn's OneHotEncoder or OrdinalEncoder), fit again"
            )


def _loss_of(model: Any) -> str:
    loss = model.get_all_params().get("loss_function") or model.get_params().get("loss_function") or "RMSE"
    name = str(loss).partition(":")[0]
    if name in _STRANGE:
        raise Unsupported(
            f"a CatBoost model of the loss {name} is not converted; fit one model for each target"
        )
    return name


def _groups(model: dict[str, Any]) -> int:
    """How many values a leaf has."""
    for tree in model.get("oblivious_trees") or ():
        return int(len(tree["leaf_values"]) >> len(tree["splits"] or ()))
    for tree in model.get("trees") or ():
        while "value" not in tree:
            tree = tree["left"]  # noqa: PLW2901 (down to any leaf)
        return len(np.atleast_1d(tree["value"]))
    return 1


def _trees(model: dict[str, Any], scale: float) -> Iterator[Tree]:
    features = {
        feature["feature_index"]: (feature["flat_feature_index"], feature["nan_value_treatment"] != "AsTrue")
        for feature in model["features_info"].get("float_features", ())
    }
    for tree in model.get("oblivious_trees") or ():
        yield _oblivious(tree, features, scale)
    for tree in model.get("trees") or ():
        nodes: list[Split | Leaf] = []
        _add(tree, features, scale, nodes)
        yield nodes


_Features = dict[int, tuple[int, bool]]


def _oblivious(tree: dict[str, Any], features: _Features, scale: float) -> Tree:
    """One question a level: the answers are the bits of the leaf's number, the first one's the lowest."""
    splits = tree["splits"] or []
    values = np.array(tree["leaf_values"], np.float64).reshape(1 << len(splits), -1) * scale
    nodes: list[Split | Leaf] = []
    for level, split in enumerate(reversed(splits)):
        for at in range(1 << level):
            below = (1 << (level + 1)) - 1 + 2 * at
            nodes.append(_split(split, features, below, below + 1))
    return [*nodes, *(Leaf(leaf.tolist()) for leaf in values)]


def _add(tree: dict[str, Any], features: _Features, scale: float, nodes: list[Split | Leaf]) -> int:
    place = len(nodes)
    if "value" in tree:
        nodes.append(Leaf((np.atleast_1d(np.array(tree["value"], np.float64)) * scale).tolist()))
        return place
    nodes.append(Leaf(()))  # keeps the place until both sides are known
    left = _add(tree["left"], features, scale, nodes)
    right = _add(tree["right"], features, scale, nodes)
    nodes[place] = _split(tree["split"], features, left, right)
    return place


def _split(split: dict[str, Any], features: _Features, below: int, above: int) -> Split:
    if split["split_type"] != _FLOAT:
        raise Unsupported(f"a split of the type {split['split_type']} has no place in ONNX")
    feature, missing_is_below = features[split["float_feature_index"]]
    return Split(feature, "BRANCH_LEQ", split["border"], (), below, above, missing_is_below)

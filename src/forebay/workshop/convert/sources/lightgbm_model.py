"""A LightGBM model as it describes itself: trees, objective, categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forebay.core.errors import Unsupported
from forebay.workshop.convert.categories import Categories
from forebay.workshop.convert.tree_nodes import Leaf, Split, Tree


@dataclass(frozen=True, slots=True)
class Described:
    """What matters of a booster. `groups` is how many raw scores a row has."""

    objective: str
    options: dict[str, str]
    """What the objective says of itself: `{"sigmoid": "1"}`."""
    groups: int
    trees: list[tuple[int, Tree]]
    zero_is_missing: bool
    categories: Categories
    names: list[str]


def describe(booster: Any) -> Described:
    """Read *booster*, up to its best iteration, as it answers; raises `Unsupported`."""
    document: dict[str, Any] = booster.dump_model()
    objective, *said = (document.get("objective") or "custom").split()
    groups = document["num_tree_per_iteration"]
    infos = document["tree_info"]
    share = groups / len(infos) if document["average_output"] and infos else 1.0
    trees = [(number % groups, _tree(info["tree_structure"], share)) for number, info in enumerate(infos)]
    return Described(
        objective,
        {name: value for name, _, value in (word.partition(":") for word in said)},
        groups,
        trees,
        any(_zero_is_missing(info["tree_structure"]) for info in infos),
        _categories(document),
        document["feature_names"],
    )


def _tree(structure: dict[str, Any], share: float) -> Tree:
    """The nodes of a nested tree, numbered as they are met."""
    nodes: list[Split | Leaf] = []
    _add(structure, share, nodes)
    return nodes


def _add(structure: dict[str, Any], share: float, nodes: list[Split | Leaf]) -> int:
    place = len(nodes)
    if "split_index" not in structure:
        if structure.get("leaf_features"):
            raise Unsupported(
                "trees with a line in each leaf have no place in ONNX; fit with linear_tree=False"
            )
        nodes.append(Leaf([structure["leaf_value"] * share]))
        return place
    nodes.append(Leaf(()))  # keeps the place until both sides are known
    yes = _add(structure["left_child"], share, nodes)
    no = _add(structure["right_child"], share, nodes)
    nodes[place] = _split(structure, yes, no)
    return place


def _split(structure: dict[str, Any], yes: int, no: int) -> Split:
    feature, threshold = structure["split_feature"], structure["threshold"]
    if structure["decision_type"] == "==":
        codes = [int(code) for code in str(threshold).split("||")]
        return Split(feature, "BRANCH_EQ", 0.0, codes, yes, no, missing_is_yes=False)
    missing_is_yes = structure["default_left"]
    if structure["missing_type"] == "None":
        missing_is_yes = threshold >= 0  # what is missing counts as zero
    return Split(feature, "BRANCH_LEQ", threshold, (), yes, no, missing_is_yes)


def _zero_is_missing(structure: dict[str, Any]) -> bool:
    if "split_index" not in structure:
        return False
    sides = structure["left_child"], structure["right_child"]
    return structure["missing_type"] == "Zero" or any(map(_zero_is_missing, sides))


def _categories(document: dict[str, Any]) -> Categories:
    known = document.get("pandas_categorical") or []
    infos = document["feature_infos"]
    coded = [name for name in document["feature_names"] if infos.get(name, {}).get("values")]
    if not known:
        return [None] * len(document["feature_names"])
    if len(coded) != len(known):
        raise Unsupported(
            "a column of categories has one value only, so it cannot be told which; leave it out, fit again"
        )
    values = dict(zip(coded, known, strict=True))
    return [values.get(name) for name in document["feature_names"]]

"""Forests become ONNX quickly, with the very nodes that skl2onnx writes."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier

from forebay.workshop.convert.sources.sklearn_trees import add_tree

pytestmark = pytest.mark.slow


def forests() -> list[tuple[Any, bool, bool]]:
    """Fitted forests, whether they tell classes, and whether their leaves count rows."""
    rows, kinds = load_iris(return_X_y=True)
    numbers, target = load_diabetes(return_X_y=True)
    several = np.column_stack([target, target**2])
    return [
        (RandomForestClassifier(5, random_state=0).fit(rows, kinds), True, True),
        (RandomForestClassifier(5, random_state=0).fit(rows, kinds > 0), True, True),
        (ExtraTreesRegressor(5, random_state=0).fit(numbers, target), False, False),
        (ExtraTreesRegressor(5, random_state=0).fit(numbers, several), False, False),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_forest_has_the_nodes_that_skl2onnx_writes_one_by_one(dtype: Any) -> None:
    from skl2onnx.common.tree_ensemble import add_tree_to_attribute_pairs  # noqa: PLC0415 (heavy)

    for forest, classes, counted in forests():
        theirs: dict[str, list[Any]] = defaultdict(list)
        ours: dict[str, list[Any]] = defaultdict(list)
        for number, one in enumerate(forest.estimators_):
            said = (one.tree_, number, 0.2, 0, counted)
            add_tree_to_attribute_pairs(theirs, classes, *said, True, dtype=dtype)
            add_tree(ours, classes, *said, True, dtype=dtype)
        assert ours.keys() == theirs.keys()
        for name, values in theirs.items():
            if name.endswith("weights"):
                pairs = zip(ours[name], values, strict=True)
                assert all(math.isclose(mine, other, rel_tol=1e-12) for mine, other in pairs)
            else:
                assert ours[name] == values, name

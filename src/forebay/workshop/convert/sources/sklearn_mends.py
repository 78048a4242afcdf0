"""What has to be mended in skl2onnx 1.20 itself, once in a process."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from forebay.workshop.convert.sources.sklearn_parts import parts
from forebay.workshop.convert.sources.sklearn_trees import add_tree
from forebay.workshop.convert.tree_nodes import Nodes

_IMPUTER = "SklearnSimpleImputer"


@functools.cache
def mend() -> None:
    """Make the converters do what they should; harmless when done already."""
    _mend_trees()
    _mend_imputer()
    _mend_options()


def _mend_trees() -> None:
    """It hands Python booleans to protobuf, which refuses them from its version 7 on; and takes its time."""
    from skl2onnx.common import tree_ensemble  # noqa: PLC0415 (heavy)
    from skl2onnx.operator_converters import (  # noqa: PLC0415 (heavy)
        decision_tree,
        gradient_boosting,
        isolation_forest,
        random_forest,
    )

    original = tree_ensemble.add_node

    def add_node(*values: Any, nodes_missing_value_tracks_true: Any = 0, **named: Any) -> None:
        original(*values, nodes_missing_value_tracks_true=int(nodes_missing_value_tracks_true), **named)

    tree_ensemble.add_node = add_node
    for module in (decision_tree, gradient_boosting, isolation_forest, random_forest):
        module.add_tree_to_attribute_pairs = add_tree


def _mend_imputer() -> None:
    """It writes an Imputer of doubles, which ONNX Runtime does not have, and forgets half of their digits."""
    from skl2onnx.common import _registration  # noqa: PLC0415 (heavy; the public way wants a new name)

    registered = _registration.get_converter(_IMPUTER)
    original = registered._fct  # noqa: SLF001 (see above)

    def convert(scope: Any, operator: Any, container: Any) -> None:
        if not _is_plain(operator):
            original(scope, operator, container)
            return
        [source], [target] = operator.inputs, operator.outputs
        nodes = Nodes(scope.get_unique_variable_name("imputed") + "_")
        missing = nodes.add("IsNaN", [source.full_name])
        filling = nodes.constant(operator.raw_operator.statistics_.astype(np.float64).reshape(1, -1))
        nodes.add("Where", [missing, filling, source.full_name], target.full_name)
        container.nodes.extend(nodes.made)
        container.node_domain_version_pair_sets.add(("", 18))

    registered._fct = convert  # noqa: SLF001 (see above)


def _is_plain(operator: Any) -> bool:
    """Whether it fills NaN in one matrix of doubles, column by column, and nothing else."""
    imputer = operator.raw_operator
    kinds = [type(variable.type).__name__ for variable in operator.inputs]
    if kinds != ["DoubleTensorType"] or imputer.add_indicator or isinstance(imputer.missing_values, str):
        return False
    statistics = imputer.statistics_
    return bool(
        np.isnan(imputer.missing_values) and statistics.dtype.kind == "f" and np.isfinite(statistics).all()
    )


def _mend_options() -> None:
    """It looks into every attribute of every tree for a pipeline that options may belong to."""
    from skl2onnx import _parse, convert  # noqa: PLC0415 (heavy)

    original = convert._process_options  # noqa: SLF001 (there is no public way)

    def process_options(model: Any, options: Any) -> Any:
        named = options is not None and any(isinstance(name, str) for name in options)
        if named or any(hasattr(part, "steps") for _, part in parts(model)):
            return original(model, options)
        return options

    for module in (convert, _parse):
        module._process_options = process_options  # noqa: SLF001 (see above)

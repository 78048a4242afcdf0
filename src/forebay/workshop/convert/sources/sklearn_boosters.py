"""Boosters in scikit-learn's pipelines and ensembles, its own too: told to skl2onnx as converters of ours."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from forebay.workshop.convert.columnar import OPSETS
from forebay.workshop.convert.sources import (
    catboost_graph,
    lightgbm_graph,
    sklearn_hist_trees,
    xgboost_graph,
)
from forebay.workshop.convert.sources.catboost_model import describe as describe_catboost
from forebay.workshop.convert.sources.lightgbm_model import describe as describe_lightgbm
from forebay.workshop.convert.sources.xgboost_model import describe as describe_xgboost
from forebay.workshop.convert.sources.xgboost_model import rounds_of
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES

_ESTIMATORS = {
    "xgboost": ("XGBClassifier", "XGBRFClassifier", "XGBRegressor", "XGBRFRegressor"),
    "lightgbm": ("LGBMClassifier", "LGBMRegressor"),
    "catboost": ("CatBoostClassifier", "CatBoostRegressor"),
    "sklearn.ensemble": ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"),
}
_OPTIONS = {"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False]}


def register() -> None:
    """Tell skl2onnx about the boosters that somebody has imported; others cannot be inside a model."""
    from skl2onnx import update_registered_converter  # noqa: PLC0415 (heavy)
    from skl2onnx.common.shape_calculator import (  # noqa: PLC0415 (heavy)
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    for package, names in _ESTIMATORS.items():
        for name in names if package in sys.modules else ():
            classifier = "Classifier" in name
            update_registered_converter(
                getattr(sys.modules[package], name),
                f"Forebay{name}",
                calculate_linear_classifier_output_shapes
                if classifier
                else calculate_linear_regressor_output_shapes,
                _converters[package],
                parser=_parse_catboost if name == "CatBoostClassifier" else None,
                options=_OPTIONS if classifier else None,
            )


def _parse_catboost(scope: Any, model: Any, inputs: list[Any], **_others: Any) -> Any:
    """CatBoost's classifier is no ClassifierMixin, so skl2onnx would not see its second output."""
    from skl2onnx.common import data_types  # noqa: PLC0415 (heavy)

    operator = scope.declare_local_operator("ForebayCatBoostClassifier", model)
    operator.inputs = inputs
    texts = all(isinstance(value, str) for value in model.classes_)
    label = data_types.StringTensorType if texts else data_types.Int64TensorType
    for name, kind in ((LABEL, label), (PROBABILITIES, data_types.FloatTensorType)):
        operator.outputs.append(scope.declare_local_variable(name, kind()))
    return operator.outputs


def _convert_xgboost(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    described = describe_xgboost(model.get_booster(), rounds_of(model))
    x, prefix = _matrix(scope, operator, container)
    outputs = _outputs(operator, container, prefix)
    _add(container, xgboost_graph.nodes_for(described, x, outputs, prefix))


def _convert_lightgbm(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    described = describe_lightgbm(model.booster_)
    x, prefix = _matrix(scope, operator, container)
    classes = list(getattr(model, "classes_", ()))
    options = container.get_options(model, {"raw_scores": False}) if classes else {}
    raw = bool(options.get("raw_scores"))  # calibration asks for them
    outputs = _outputs(operator, container, prefix)
    _add(container, lightgbm_graph.nodes_for(described, x, outputs, classes, prefix, raw_scores=raw))


def _convert_catboost(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    x, prefix = _matrix(scope, operator, container)
    described, outputs = describe_catboost(model), _outputs(operator, container, prefix)
    _add(container, catboost_graph.nodes_for(described, x, outputs, list(model.classes_), prefix))


def _convert_hist_trees(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    classifier = hasattr(model, "classes_")
    options = container.get_options(model, {"raw_scores": False}) if classifier else {}
    raw = bool(options.get("raw_scores"))  # calibration asks for them
    x, prefix = _matrix(scope, operator, container)
    outputs = _outputs(operator, container, prefix)
    _add(container, sklearn_hist_trees.nodes_for(model, x, outputs, prefix, raw_scores=raw))


_converters = {
    "xgboost": _convert_xgboost,
    "lightgbm": _convert_lightgbm,
    "catboost": _convert_catboost,
    "sklearn.ensemble": _convert_hist_trees,
}


def _matrix(scope: Any, operator: Any, container: Any) -> tuple[str, str]:
    """The name of the input as floats, and a prefix for names that nobody else has."""
    x = scope.get_unique_variable_name("features")
    container.add_node("Cast", operator.inputs[0].full_name, x, op_version=OPSETS[""], to=1)
    return x, scope.get_unique_variable_name("booster") + "_"


def _outputs(operator: Any, container: Any, prefix: str) -> Mapping[str, str]:
    """Where the answers go: trees give floats, also where doubles are expected."""
    names = (LABEL, PROBABILITIES) if hasattr(operator.raw_operator, "predict_proba") else (PREDICTION,)
    found = dict(zip(names, (output.full_name for output in operator.outputs), strict=False))
    if type(operator.outputs[-1].type).__name__ == "DoubleTensorType":
        name = names[-1]
        container.add_node("Cast", f"{prefix}{name}", found[name], op_version=OPSETS[""], to=11)
        found[name] = f"{prefix}{name}"
    return found


def _add(container: Any, nodes: list[Any]) -> None:
    container.nodes.extend(nodes)
    container.node_domain_version_pair_sets.update(OPSETS.items())

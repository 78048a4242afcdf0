"""scikit-learn to ONNX through skl2onnx, with what has to be mended on the way."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from forebay.core import Array, DataType
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.columnar import OPSETS
from forebay.workshop.convert.graph import keep_outputs, rename
from forebay.workshop.convert.predictor import Predictor
from forebay.workshop.convert.sample import JOINED, Layout
from forebay.workshop.convert.sources.sklearn_boosters import register
from forebay.workshop.convert.sources.sklearn_mends import mend
from forebay.workshop.convert.sources.sklearn_parts import parts

_CLASSES_OF_TYPES = {
    DataType.FP32: "FloatTensorType",
    DataType.FP64: "DoubleTensorType",
    DataType.INT64: "Int64TensorType",
    DataType.BOOL: "BooleanTensorType",
    DataType.BYTES: "StringTensorType",
}


def to_onnx(predictor: Predictor, layout: Layout) -> Any:
    """The ONNX model of *predictor*, its inputs and outputs named as people know them."""
    need("skl2onnx", "sklearn")
    collisions = set(layout.names) & set(predictor.functions)
    if layout.joined is None and collisions:
        raise Malformed(f"rename the column {collisions.pop()!r}: an output of the model has that name")
    model = _mended(predictor.model)
    proto = _converted(model, layout, _options(predictor, model))
    wanted_inputs = [JOINED] if layout.joined is not None else list(layout.names)
    names = dict(zip((value.name for value in proto.graph.input), wanted_inputs, strict=True))
    outputs = list(predictor.functions)
    names |= dict(zip((value.name for value in proto.graph.output), outputs, strict=False))
    rename(proto.graph, names)
    keep_outputs(proto.graph, outputs)
    return proto


def _converted(model: Any, layout: Layout, options: dict[int, dict[str, Any]]) -> Any:
    import skl2onnx  # noqa: PLC0415 (heavy)

    mend()
    register()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations between two libraries that are not ours
            return skl2onnx.to_onnx(
                model,
                initial_types=_initial_types(layout),
                options=options,
                target_opset=OPSETS,
                name="forebay",
            )
    except (NotImplementedError, RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise Unsupported(_why_not(model, error)) from error


def _initial_types(layout: Layout) -> list[tuple[str, Any]]:
    from skl2onnx.common import data_types  # noqa: PLC0415 (heavy)

    def typed(datatype: DataType, columns: int) -> Any:
        return getattr(data_types, _CLASSES_OF_TYPES[datatype])([None, columns])

    if layout.joined is not None:
        return [(JOINED, typed(layout.joined, len(layout.names)))]
    return [(name, typed(datatype, 1)) for name, datatype in zip(layout.names, layout.datatypes, strict=True)]


def _options(predictor: Predictor, model: Any) -> dict[int, dict[str, Any]]:
    """Probabilities as a plain tensor, and the C locale: others are missing on small machines."""
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 (heavy)

    found: dict[int, dict[str, Any]] = {
        id(part): {"locale": "C"} for _, part in parts(model) if isinstance(part, CountVectorizer)
    }
    for _, part in parts(model):
        if hasattr(part, "decision_function") and not hasattr(part, "predict_proba"):
            found.setdefault(id(part), {})  # or a pipeline hands it an option that it does not know
    if "probabilities" in predictor.functions:
        found[id(model)] = {"zipmap": False}
    return found


def _mended(model: Any) -> Any:
    """A copy in which a missing text is the empty text, as ONNX has no None among its strings."""
    model = copy.deepcopy(model)
    for _, part in parts(model):
        if hasattr(part, "flatten_transform"):
            part.flatten_transform = False  # what `transform` does is not served
        statistics = getattr(part, "statistics_", None)
        if (
            statistics is not None
            and statistics.dtype.kind in "OU"
            and not isinstance(part.missing_values, str)
        ):
            part.missing_values = ""
        categories = getattr(part, "categories_", None)
        if isinstance(categories, list):
            part.categories_ = [_without_nothing(values) for values in categories]
    return model


def _without_nothing(values: Array) -> Array:
    if values.dtype != object:
        return values
    return np.array([value if isinstance(value, str | int | bool) else "" for value in values], dtype=object)


def _why_not(model: Any, error: Exception) -> str:
    from skl2onnx._supported_operators import (  # noqa: PLC0415 (heavy; no public list by class)
        sklearn_operator_name_map,
    )

    known = {type_.__name__ for type_ in sklearn_operator_name_map}
    for path, part in parts(model):
        name = type(part).__name__
        if name not in known and not hasattr(part, "steps") and type(part).__module__.startswith("sklearn."):
            where = f"the step {path!r} ({name})" if path else f"a {name}"
            return f"{where} cannot become ONNX; put another one in its place and fit again"
        if name == "FunctionTransformer" and part.func is not None:
            return (
                f"the step {path!r} (FunctionTransformer) runs Python code, which cannot become ONNX; "
                "apply the function to the data before fit"
            )
    first = str(error).strip().partition("\n")[0][:300]
    return f"this {type(model).__name__} cannot become ONNX: {first}"

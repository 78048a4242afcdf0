"""A fitted model as one ONNX graph, with its signature: the draft that the workshop's proof takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forebay.core import Array, ArtifactInfo, DataType, Signature, TensorSpec
from forebay.workshop.convert import Draft, Given
from forebay.workshop.convert.edges import edges_of
from forebay.workshop.convert.predictor import Predictor
from forebay.workshop.convert.sample import JOINED, Layout, layout_of
from forebay.workshop.convert.sources import source_of
from forebay.workshop.convert.sources.sklearn_onnx import to_onnx
from forebay.workshop.train.fitted import LEAST, Fitted
from forebay.workshop.train.graphs import Canvas, loaded
from forebay.workshop.train.members import Constant, Member
from forebay.workshop.train.recipe import CLASSIFICATION, FORECASTING, MULTILABEL, QUANTILE
from forebay.workshop.train.words import convertible

_PROOF_ROWS = 2000


def draft_of(
    fitted: Fitted,
    rows: Any,
    *,
    columns: Sequence[str] | None,
    answers: Sequence[str],
    image: tuple[int, int, int] | None = None,
) -> Draft:
    """*fitted* as one graph. *rows* prove it, *columns* name those of a matrix, *answers* its numbers.

    With *image* (channels, height, width) the served model takes uint8 pixels [rows, height, width,
    channels] instead of rows of numbers.
    """
    rows = rows[:_PROOF_ROWS]
    layout = layout_of(rows, columns, by_name=hasattr(rows, "columns"))
    inputs = input_specs(layout, named=columns is not None) if image is None else (_pictures(image),)
    canvas = Canvas()
    fed = {spec.name: spec.name for spec in inputs}
    if image is not None:
        fed = {JOINED: _flattened(canvas, inputs[0].name)}
    told = _sum(canvas, fitted, [_member(canvas, member, layout, fed) for member in fitted.members])
    outputs = _outputs(canvas, fitted, told, answers)
    info = ArtifactInfo(Signature(inputs, outputs), task=fitted.task)
    return Draft(
        origin=" + ".join(member.estimator.name for member in fitted.members),
        files={info.model: canvas.model(inputs, outputs).SerializeToString(deterministic=True)},
        info=info,
        rows=rows,
        ask=fitted.tensors,
        tensors=layout.tensors if image is None else lambda table: {JOINED: _as_pictures(table, image)},
        edges=edges_of(rows, one_by_one=layout.joined is None) if image is None else (),
    )


def input_specs(layout: Layout, *, named: bool) -> tuple[TensorSpec, ...]:
    """The inputs of a model of rows: one tensor `x`, or one a column."""
    if layout.joined is not None:
        names = layout.names if named else ()
        return (TensorSpec(JOINED, layout.joined, (-1, len(layout.names)), names),)
    pairs = zip(layout.names, layout.datatypes, strict=True)
    return tuple(TensorSpec(name, datatype, (-1, 1)) for name, datatype in pairs)


def _pictures(image: tuple[int, int, int]) -> TensorSpec:
    channels, height, width = image
    return TensorSpec(JOINED, DataType.UINT8, (-1, height, width, channels))


def _flattened(canvas: Canvas, name: str) -> str:
    numbers = canvas.cast(name, DataType.FP32)
    return canvas.op("Flatten", canvas.op("Transpose", numbers, perm=[0, 3, 1, 2]), axis=1)


def _as_pictures(rows: Array, image: tuple[int, int, int]) -> Array:
    return np.ascontiguousarray(rows.reshape(-1, *image).transpose(0, 2, 3, 1)).astype(np.uint8)


def _member(canvas: Canvas, member: Member, layout: Layout, fed: dict[str, str]) -> str:
    last = ""
    if member.task == FORECASTING:
        last = canvas.op("Gather", fed[JOINED], canvas.constant(np.array([len(layout.names) - 1])), axis=1)
        fed = {JOINED: canvas.op("Sub", fed[JOINED], last)}
    features = fed.get(JOINED, "")
    if member.preparation is not None:
        preparation = convertible(member.preparation)
        predictor = Predictor(preparation, "", (), {"features": preparation.transform})
        [features] = canvas.include(to_onnx(predictor, layout), fed)
    told = [_head(canvas, member, place, features) for place in range(len(member.heads))]
    joined = told[0] if len(told) == 1 else canvas.op("Concat", *told, axis=1)
    return canvas.op("Add", joined, last) if last else joined


def _head(canvas: Canvas, member: Member, place: int, features: str) -> str:
    head = member.heads[place]
    codes = member.codes[place] if member.codes else None
    if isinstance(head, Constant):
        assert codes is not None
        return _constant(canvas, features, float(codes[0]))
    told = _answers_of(canvas, head, member.width, features)
    if codes is None:
        return told
    if member.task == MULTILABEL:
        return canvas.op("Gather", told, canvas.constant(np.array([1])), axis=1)
    places = np.eye(member.classes, dtype=np.float32)[codes.astype(np.int64)]
    if places.shape[0] == places.shape[1]:
        return told
    return canvas.op("MatMul", told, canvas.constant(places))


def _constant(canvas: Canvas, features: str, value: float) -> str:
    """The same number for every row."""
    first = canvas.op("Gather", features, canvas.constant(np.array([0])), axis=1)
    return canvas.op("Expand", canvas.constant(np.float32(value)), canvas.op("Shape", first))


def _answers_of(canvas: Canvas, head: Any, width: int, features: str) -> str:
    """Probabilities [rows, classes] or numbers [rows, 1] of one head."""
    if hasattr(head, "to_onnx"):
        proto = head.to_onnx(width)
        [told] = canvas.include(proto, {proto.graph.input[0].name: features})
        return _unscaled(canvas, told, *getattr(head, "affine", (1.0, 0.0)))
    draft = source_of(head).draft(head, Given(sample=np.zeros((2, width), np.float32)))
    proto = loaded(draft.files[draft.info.model])
    names = [value.name for value in proto.graph.output]
    outputs = canvas.include(proto, {proto.graph.input[0].name: features})
    wanted = "probabilities" if "probabilities" in names else "prediction"
    return canvas.cast(outputs[names.index(wanted)], DataType.FP32)


def _unscaled(canvas: Canvas, told: str, spread: float, centre: float) -> str:
    if spread == 1.0 and centre == 0.0:
        return told
    scaled = canvas.op("Mul", told, canvas.constant(np.float32(spread)))
    return canvas.op("Add", scaled, canvas.constant(np.float32(centre)))


def _sum(canvas: Canvas, fitted: Fitted, members: list[str]) -> str:
    if len(members) == 1:
        return members[0]
    parts = [
        canvas.op("Mul", told, canvas.constant(np.float32(weight)))
        for told, weight in zip(members, fitted.weights, strict=True)
    ]
    return canvas.op("Sum", *parts)


def _outputs(canvas: Canvas, fitted: Fitted, told: str, answers: Sequence[str]) -> tuple[TensorSpec, ...]:
    if fitted.task not in (CLASSIFICATION, MULTILABEL):
        if fitted.task == QUANTILE:
            count = canvas.constant(np.array([len(answers)]))
            told = canvas.ops("TopK", 2, told, count, axis=1, largest=0, sorted=1)[0]
        canvas.name(told, "prediction")
        width = max(1, len(answers))
        return (TensorSpec("prediction", DataType.FP32, (-1, width), tuple(answers)),)
    told = _calibrated(canvas, told, fitted.temperature)
    canvas.name(told, "probabilities")
    canvas.name(_labels(canvas, fitted, told), "label")
    names = tuple(map(str, fitted.classes_.tolist()))
    probabilities = TensorSpec("probabilities", DataType.FP32, (-1, len(names)), names)
    if fitted.task == MULTILABEL:
        return (TensorSpec("label", DataType.INT64, (-1, len(names)), names), probabilities)
    kind = DataType.INT64 if fitted.classes_.dtype.kind in "iu" else DataType.BYTES
    return (TensorSpec("label", kind, (-1,)), probabilities)


def _calibrated(canvas: Canvas, told: str, temperature: float) -> str:
    if temperature == 1.0:
        return told
    logits = canvas.op("Log", canvas.op("Max", told, canvas.constant(np.float32(LEAST))))
    return canvas.op("Softmax", canvas.op("Div", logits, canvas.constant(np.float32(temperature))), axis=1)


def _labels(canvas: Canvas, fitted: Fitted, told: str) -> str:
    if fitted.task == MULTILABEL:
        likely = canvas.op("GreaterOrEqual", told, canvas.constant(np.float32(0.5)))
        return canvas.cast(likely, DataType.INT64)
    best = canvas.op("ArgMax", told, axis=1, keepdims=0)
    return canvas.op("Gather", canvas.constant(fitted.classes_), best, axis=0)

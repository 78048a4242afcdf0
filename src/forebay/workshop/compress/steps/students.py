"""A small network that learns from the original, whatever the original is: all it needs are its answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from forebay.core import Array, ArtifactInfo, DataType, Tensors, TensorSpec
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft, label_of, scores_of
from forebay.workshop.compress.graphs import checked
from forebay.workshop.compress.learning import MATCHED, Lessons, teach
from forebay.workshop.compress.steps.features import features_of
from forebay.workshop.compress.steps.layers import Layers

_RATE = 4e-3
_LONGER = 4
_MIXED = 4
ALPHA = 0.7
"""How much of what is learned is the original's word; the rest is the truth's."""

_LEAST_SIDE = 8


def dense_student(widths: tuple[int, ...], *, matched: bool = False) -> Callable[[Draft, Bench], Draft]:
    """Dense layers of these *widths*; *matched* with what a network computes before it answers."""

    def make(draft: Draft, bench: Bench) -> Draft:
        teacher = draft if matched else None
        return _taught(bench, lambda layers, here: layers.dense_layers(here, widths), teacher)

    return make


def convolution_student(
    channels: tuple[int, ...], *, matched: bool = False
) -> Callable[[Draft, Bench], Draft]:
    """Convolutions of 3x3 with pooling, for images: rows of two sides, or as many columns as a square has."""

    def make(draft: Draft, bench: Bench) -> Draft:
        image = _image(one_input(bench.info))
        teacher = draft if matched else None
        return _taught(bench, lambda layers, here: layers.convolutions(here, image, channels), teacher)

    return make


def _taught(bench: Bench, body: Callable[[Layers, str], tuple[str, int]], teacher: Draft | None) -> Draft:
    """Make the network, standardise its input by the tuning rows, and let it learn."""
    lessons = with_mixtures(Lessons.of(bench), bench)
    if teacher is not None:
        lessons = replace(lessons, features=features_of(teacher, bench.info, lessons.inputs))
    given = one_input(bench.info)
    layers = Layers(np.random.default_rng(bench.seed), math.prod(given.shape[1:]))
    here = _standardised(layers, given, bench.tune.inputs[given.name])
    here, width = body(layers, here)
    if lessons.features is not None:
        layers.node("Identity", layers.dense(here, width, lessons.features.shape[1]), name=MATCHED)
    _answering(layers, here, width, bench.info, lessons)
    draft = Draft(layers.graph(given, bench.info.signature.outputs))
    learned = teach(draft, bench, lessons, epochs=bench.epochs * _LONGER, rate=_RATE, alpha=ALPHA)
    return learned.with_proto(checked(learned.proto()))  # what was only matched has gone


def with_mixtures(lessons: Lessons, bench: Bench) -> Lessons:
    """More rows: points between two of them, as the teacher answers those.

    For the truth of such a point nobody can be asked, so the teacher's choice stands in for it.
    """
    draw = np.random.default_rng(bench.seed)
    count = len(lessons)
    rows: dict[str, list[Array]] = {name: [] for name in lessons.inputs}
    for _ in range(_MIXED):
        other, weight = draw.integers(0, count, count), draw.beta(0.4, 0.4, count)
        for name, values in lessons.inputs.items():
            share = weight.reshape(-1, *(1,) * (values.ndim - 1))
            rows[name].append((share * values + (1 - share) * values[other]).astype(values.dtype))
    more = Lessons.of(bench, {name: np.concatenate(parts) for name, parts in rows.items()})
    right = lessons.right
    if right is not None:
        guessed = more.values if more.shares is None else more.shares.argmax(axis=1)
        assert guessed is not None
        right = np.concatenate([right, guessed.astype(right.dtype).reshape(-1, *right.shape[1:])])
    return Lessons(
        _joined(lessons.inputs, more.inputs),
        _both(lessons.shares, more.shares),
        _both(lessons.values, more.values),
        right,
    )


def _joined(one: Tensors, other: Tensors) -> Tensors:
    return {name: np.concatenate([values, other[name]]) for name, values in one.items()}


def _both(one: Array | None, other: Array | None) -> Array | None:
    return None if one is None or other is None else np.concatenate([one, other])


def one_input(info: ArtifactInfo) -> TensorSpec:
    """The only input, of rows of one shape in FP32; raises `Unsupported` where it is otherwise."""
    inputs = info.signature.inputs
    if len(inputs) != 1 or inputs[0].datatype is not DataType.FP32:
        raise Unsupported("a student takes one input of FP32; this model takes others")
    if inputs[0].shape[:1] != (-1,) or -1 in inputs[0].shape[1:]:
        raise Unsupported("a student takes rows of one shape; this model's vary")
    return inputs[0]


def _image(spec: TensorSpec) -> tuple[int, int, int]:
    """Channels and sides of the image that a row is."""
    if len(spec.shape) == 4 and min(spec.shape[2:]) >= _LEAST_SIDE:
        return spec.shape[1], spec.shape[2], spec.shape[3]
    columns = math.prod(spec.shape[1:])
    side = math.isqrt(columns)
    if len(spec.shape) == 2 and side * side == columns and side >= _LEAST_SIDE:
        return 1, side, side
    raise Unsupported("its rows are no images")


def _standardised(layers: Layers, given: TensorSpec, rows: Array) -> str:
    """One mean and spread for images, where neighbours are alike, one for each column otherwise."""
    axes: Any = 0 if rows.ndim == 2 and rows.shape[1] < _LEAST_SIDE**2 else None
    mean = np.asarray(rows.mean(axis=axes), dtype=np.float32)
    spread = np.asarray(rows.std(axis=axes), dtype=np.float32)
    shifted = layers.node("Sub", given.name, layers.constant(mean))
    return layers.node(
        "Mul", shifted, layers.constant(1 / np.where(spread > 1e-6, spread, 1).astype(np.float32))
    )


def _answering(layers: Layers, here: str, width: int, info: ArtifactInfo, lessons: Lessons) -> None:
    """The same outputs as the original's, by the same names."""
    scores, label = scores_of(info), label_of(info)
    if scores is None or scores.datatype is not DataType.FP32 or len(info.signature.outputs) > 2:
        raise Unsupported("a student answers labels and one tensor of FP32; this model answers otherwise")
    if lessons.shares is None:
        _numbers(layers, here, width, scores, lessons)
        return
    classes = lessons.shares.shape[1]
    logits = layers.dense(here, width, classes)
    layers.node("Softmax" if gives_shares(info, scores) else "Identity", logits, name=scores.name, axis=-1)
    if label is not None:
        labels(layers, logits, label, scores.columns or tuple(map(str, range(classes))))


def gives_shares(info: ArtifactInfo, scores: TensorSpec) -> bool:
    """Whether *scores* are probabilities, and no logits."""
    return label_of(info) is not None or bool(scores.columns)


def _numbers(layers: Layers, here: str, width: int, spec: TensorSpec, lessons: Lessons) -> None:
    assert lessons.values is not None
    values = lessons.values
    spread = np.maximum(values.std(axis=0), 1e-9).astype(np.float32)
    raw = layers.dense(here, width, values.shape[1])
    scaled = layers.node("Mul", raw, layers.constant(spread))
    reshaped(
        layers, layers.node("Add", scaled, layers.constant(values.mean(axis=0).astype(np.float32))), spec
    )


def reshaped(layers: Layers, here: str, spec: TensorSpec) -> None:
    """Numbers in rows as the output *spec*."""
    shape = np.array([-1, *spec.shape[1:]], dtype=np.int64)
    layers.node("Reshape", here, layers.constant(shape), name=spec.name)


def labels(layers: Layers, logits: str, spec: TensorSpec, classes: tuple[str, ...]) -> None:
    """The output *spec*: which of *classes* has the most."""
    names: Array = np.array(classes, dtype=object)
    if spec.datatype is not DataType.BYTES:
        names = np.array([int(float(name)) for name in classes], dtype=spec.datatype.dtype)
    best = layers.node("ArgMax", logits, axis=1, keepdims=int(len(spec.shape) == 2))
    layers.node("Gather", layers.constant(names), best, name=spec.name, axis=0)

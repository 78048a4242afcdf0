"""Triton's classification extension: of an output's numbers the k largest, as `value:index[:label]`."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array, Signature, Tensors
from forebay.core.errors import Malformed
from forebay.serving.wire.datatypes import bf16_to_float32

_MOST_CLASSES = 100_000


def classes_from(name: str, said: Any) -> int:
    """How many classes of output *name* the parameter `classification` asks for; 0 for none."""
    if said is None:
        return 0
    if type(said) is not int or said < 0:
        raise Malformed(f"output {name!r} has a 'classification' that is no number of classes: {said!r}")
    return said


def in_classes(
    outputs: Tensors, wanted: dict[str, int], signature: Signature, bf16: tuple[str, ...]
) -> Tensors:
    """*outputs* with those that are *wanted* as classes replaced by BYTES of shape (rows, k), or (k,).

    Labels are the columns that *signature* names. Raises `Malformed` for an output that has no numbers.
    """
    labels = {spec.name: spec.columns for spec in signature.outputs}
    found = dict(outputs)
    for name, most in wanted.items():
        array = outputs.get(name)
        if array is not None:  # the protocol says which outputs there are
            numbers = bf16_to_float32(array) if name in bf16 else array
            found[name] = _classes(name, numbers, most, labels.get(name, ()), batches=signature.batches)
    return found


def _classes(name: str, numbers: Array, most: int, labels: tuple[str, ...], *, batches: bool) -> Array:
    if numbers.dtype.kind not in "fiu":
        raise Malformed(f"output {name!r} has no numbers to classify by; leave 'classification' out")
    rows = numbers.shape[0] if batches else 1
    scores = numbers.reshape(rows, numbers.size // rows if rows else 0)
    most = min(most, scores.shape[1])
    if rows * most > _MOST_CLASSES:
        raise Malformed(f"{rows} rows of {most} classes are too many; a request may have {_MOST_CLASSES}")
    downwards = -scores if scores.dtype.kind == "f" else ~scores  # what is negated wraps around in integers
    order = np.argsort(downwards, axis=1, kind="stable")[:, :most]
    endings = [f":{each}" for each in labels] if len(labels) == scores.shape[1] else [""] * scores.shape[1]
    write = "%f:%d%s" if scores.dtype.kind == "f" else "%d:%d%s"
    classes = np.empty(order.shape, np.object_)
    for row, columns in enumerate(order.tolist()):
        said = scores[row, columns].tolist()
        classes[row] = [
            (write % (score, column, endings[column])).encode()
            for score, column in zip(said, columns, strict=True)
        ]
    return classes if batches else classes[0]

"""Samples as named tensors: what a framework's users hold in their hands, and rows made of nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import Malformed
from forebay.workshop.convert.recognising import called

_ROWS, _BYTES, _FEWEST = 256, 1 << 25, 4
_GENERATED_ROWS, _GENERATED_LENGTH = 16, 8


@dataclass(frozen=True, slots=True)
class Expected:
    """An input as the network declares it: its NumPy dtype, and its shape without the rows, None varies."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


def named(sample: Any, names: Sequence[str], what: str) -> Tensors:
    """*sample* as a tensor for each of *names*, of which the first ones may be enough.

    A mapping goes by name, a tuple by position, anything else is the one input. Raises `Malformed`.
    """
    if isinstance(sample, Mapping) or (hasattr(sample, "keys") and not hasattr(sample, "columns")):
        rows = {str(name): array_of(sample[name]) for name in sample.keys()}  # noqa: SIM118 (no mapping promised)
        strange = [name for name in rows if name not in names]
        if strange and names:
            raise Malformed(f"{what} takes {list(names)}, and the sample has {strange}; name them alike")
        return _checked({name: rows[name] for name in names if name in rows} or rows)
    parts = list(sample) if _by_position(sample, names) else [sample]
    if len(parts) > len(names):
        raise Malformed(f"{what} takes {list(names)}, and the sample has {len(parts)} parts")
    return _checked({name: array_of(part) for name, part in zip(names, parts, strict=False)})


def _by_position(sample: Any, names: Sequence[str]) -> bool:
    if isinstance(sample, tuple):
        return True
    return isinstance(sample, list) and len(names) == len(sample) > 1 and hasattr(sample[0], "shape")


def array_of(values: Any) -> Array:
    """Whatever holds numbers, as a NumPy array: lists, frames, tensors of any framework."""
    if hasattr(values, "detach"):
        values = _from_torch(values)
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if not isinstance(values, list | tuple) and not hasattr(values, "__array__") and not np.isscalar(values):
        raise Malformed(
            f"the sample is a {called(values)}, and a network takes arrays; give the inputs of one batch, "
            "as in sample=next(iter(loader))[0]"
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise Malformed(f"the sample's rows differ in shape ({error}); make them one array") from error
    if array.dtype.kind in "OUSmMV":
        raise Malformed(f"the sample holds {array.dtype}, and a network takes numbers; encode it first")
    return array


def _from_torch(tensor: Any) -> Any:
    try:
        return tensor.detach().cpu().numpy()
    except TypeError as error:  # bfloat16, which NumPy cannot say
        raise Malformed(f"the sample is {tensor.dtype}, which cannot travel; pass sample.float()") from error


def _checked(rows: Tensors) -> Tensors:
    if not rows:
        raise Malformed("the sample names no input of the network")
    for name, values in rows.items():
        if not values.ndim:
            raise Malformed(f"the sample's {name!r} is one number; give rows of what the network takes")
    counts = {name: len(values) for name, values in rows.items()}
    if len(set(counts.values())) > 1:
        raise Malformed(f"the sample's inputs differ in their number of rows: {counts}")
    if not next(iter(counts.values())):
        raise Malformed("the sample is empty; give some real rows, a hundred is a good number")
    return limited(rows)


def limited(rows: Tensors) -> Tensors:
    """As many of the rows as go through a network at once without filling the memory."""
    row_bytes = sum(values.nbytes // len(values) for values in rows.values())
    most = max(_FEWEST, min(_ROWS, _BYTES // max(row_bytes, 1)))
    return {name: values[:most] for name, values in rows.items()}


def generated(inputs: Sequence[Expected]) -> Tensors:
    """Rows for a network that came without a sample, always the same: noise, and small whole numbers."""
    draw = np.random.default_rng(0)
    return {spec.name: _noise(spec, draw) for spec in inputs}


def _noise(spec: Expected, draw: np.random.Generator) -> Array:
    shape = (_GENERATED_ROWS, *(_GENERATED_LENGTH if size is None else size for size in spec.shape))
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return draw.standard_normal(shape).astype(dtype)
    return np.ones(shape, dtype) if "mask" in spec.name else draw.integers(0, 2, shape).astype(dtype)


def repeated(rows: Tensors, count: int) -> Tensors:
    """*count* rows, the first ones again where there are fewer."""
    return {name: values[np.arange(count) % len(values)] for name, values in rows.items()}


def stretched(rows: Tensors, varying: Mapping[str, Sequence[int]], length: int) -> Tensors:
    """The same rows with their *varying* axes cut or repeated to *length*."""
    return {name: _stretch(values, varying.get(name, ()), length) for name, values in rows.items()}


def _stretch(values: Array, axes: Sequence[int], length: int) -> Array:
    for axis in axes:
        values = np.take(values, np.arange(length) % values.shape[axis], axis=axis)
    return values

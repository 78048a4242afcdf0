"""Parity: how far two sets of answers to the same rows are apart, and which row is the worst."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import Refused

TOLERANCE = 1e-4
ROWS_OFF = 0.01


class Different(Refused):
    """The converted model does not answer like its source; the message shows the worst row."""

    status = 400
    title = "Conversion differs"


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison found. `off` are the rows that are further apart than the tolerance."""

    rows: int
    off: tuple[int, ...]
    worst: int
    outputs: dict[str, dict[str, float]]
    expected: dict[str, Any]
    got: dict[str, Any]

    def describe_worst(self) -> str:
        """The worst row's answers, side by side, of each output that differs."""
        told = [
            f"{name}: expected {self.expected[name]}, got {self.got[name]}"
            for name in self.expected
            if self.expected[name] != self.got[name]
        ]
        return "; ".join(told)


def compare(
    expected: Tensors, got: Tensors, tolerance: float, sizes: Mapping[str, float] | None = None
) -> Parity:
    """Compare answers row by row.

    A number counts as equal within *tolerance* times the largest of its size, the spread of its column
    (1 for probabilities: what is called so, or shares one between the entries of each row), or of the
    whole output where that is no table but a map or a sequence, and what *sizes* says of the output. A
    label counts as equal where the probabilities behind it do: two classes that are equally probable may
    win in turn.
    """
    distances: dict[str, Array] = {}
    outputs: dict[str, dict[str, float]] = {}
    for name, want in expected.items():
        have = got[name]
        if name == "label" or have.dtype.kind in "OUb":
            unequal = _as_label(want, have) != have.reshape(want.shape)
            distances[name] = unequal.reshape(len(want), -1).any(axis=1).astype(np.float64)
            outputs[name] = {"equal": float(1 - distances[name].mean())}
        else:
            distances[name], outputs[name] = _numbers(name, want, have, (sizes or {}).get(name, 0.0))
    off = _off(distances, tolerance)
    total = sum(distances.values())
    worst = int(np.argmax(np.asarray(total)))
    return Parity(
        rows=len(off),
        off=tuple(int(row) for row in np.flatnonzero(off)),
        worst=worst,
        outputs=outputs,
        expected={name: _shown(values[worst]) for name, values in expected.items()},
        got={name: _shown(got[name][worst]) for name in expected},
    )


def _numbers(name: str, want: Array, have: Array, size: float) -> tuple[Array, dict[str, float]]:
    table, shares = want.ndim <= 2, _are_shares(want)
    want = want.reshape(len(want), -1).astype(np.float64)
    have = have.reshape(len(have), -1).astype(np.float64)
    if want.shape != have.shape:
        raise Different(f"the output {name!r} has the shape {list(have.shape)} instead of {list(want.shape)}")
    if not want.size:
        return np.zeros(len(want)), {"max_difference": 0.0, "mean_difference": 0.0}
    apart = np.abs(want - have)
    apart[np.isnan(want) & np.isnan(have)] = 0.0
    apart[np.isnan(apart)] = np.inf
    scale = (
        np.ones_like(want)
        if name == "probabilities" or shares
        else np.maximum(_scale(want, axis=0 if table else None), size)
    )
    figures = {"max_difference": float(apart.max()), "mean_difference": float(apart.mean())}
    return (apart / scale).max(axis=1), figures


def _scale(want: Array, axis: int | None) -> Array:
    spread = np.broadcast_to(np.nanstd(want, axis=axis), want.shape)
    scale = np.maximum(np.abs(want), spread)
    return np.asarray(np.where(scale > 0, scale, 1.0))


def _are_shares(want: Array) -> bool:
    if want.ndim < 2 or want.shape[-1] < 2 or not want.size:
        return False
    whole = np.abs(want.sum(axis=-1, dtype=np.float64) - 1)
    return bool(want.min() >= 0 and whole.max() < 1e-3)


def _off(distances: dict[str, Array], tolerance: float) -> Array:
    far = {name: distance > tolerance for name, distance in distances.items()}
    if "probabilities" in far:
        return np.asarray(far["probabilities"])
    return np.asarray(np.logical_or.reduce(list(far.values())))


def _as_label(want: Array, have: Array) -> Array:
    """The source's labels in the converted model's datatype: True is 1, and 1.0 is 1."""
    return want.astype(np.int64) if have.dtype.kind == "i" else want.astype(object)


def _shown(values: Any) -> Any:
    array = np.asarray(values)
    if array.dtype.kind == "f":
        array = np.array([float(f"{value:.9g}") for value in array.ravel()])
    listed = array.ravel().tolist()
    return listed[0] if len(listed) == 1 else listed

"""The rows that a compression works with, and their three disjoint parts.

`tune`: calibration and fine-tuning. `choose`: which candidate is best. `final`: used once, for the
evidence. Rows that are the same are in the same part: what was learned by heart proves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import Malformed

NAMES = ("tune", "choose", "final")
SHARES = (0.3, 0.2, 0.5)
"""Half of the rows prove: a promise of half a point takes some eight hundred rows without a loss."""

_FEWEST = 10
_MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Rows:
    """Inputs as the model takes them, with the truth (labels as `str`, numbers as float64) and slices."""

    inputs: Tensors
    truth: Array | None = None
    slices: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self)
        others = {**self.inputs, **self.slices} | ({} if self.truth is None else {"the labels": self.truth})
        for name, values in others.items():
            if len(values) != count:
                raise Malformed(f"{name} has {len(values)} rows, and the first input has {count}")

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, rows: Array) -> Rows:
        """Only these rows."""
        return Rows(
            {name: values[rows] for name, values in self.inputs.items()},
            None if self.truth is None else self.truth[rows],
            {name: values[rows] for name, values in self.slices.items()},
        )

    @property
    def digest(self) -> str:
        """SHA-256 over every value, name and shape."""
        sha256 = hashlib.sha256()
        for kind, arrays in (("input", self.inputs), ("slice", self.slices)):
            for name in sorted(arrays):
                _add(sha256, f"{kind} {name}", arrays[name])
        if self.truth is not None:
            _add(sha256, "truth", self.truth)
        return sha256.hexdigest()


@dataclass(frozen=True, slots=True)
class Parts:
    """The three parts, and the numbers of their rows in the whole."""

    tune: Rows
    choose: Rows
    final: Rows
    places: Mapping[str, Array]

    def described(self) -> dict[str, dict[str, object]]:
        """Size and digest of each, for the evidence."""
        return {
            name: {"rows": len(part), "digest": part.digest}
            for name, part in zip(NAMES, (self.tune, self.choose, self.final), strict=True)
        }


def divide(
    rows: Rows,
    seed: int = 0,
    shares: tuple[float, float, float] = SHARES,
    known: Rows | None = None,
) -> Parts:
    """Cut *rows* into three, every class giving each part its share; the same for the same seed.

    Rows that are in *known* are in no part: something has learned from them.

    Raises `Malformed` when a part would be too small to say anything.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise Malformed(
            f"the shares of tuning, choosing and proof are not negative and sum to 1, got {shares}"
        )
    part_of = _drawn(_twins(rows.inputs), _strata(rows), seed, shares)
    if known is not None:
        learned = set(_keys(known.inputs))
        part_of[[key in learned for key in _keys(rows.inputs)]] = -1
    places = {name: np.flatnonzero(part_of == number) for number, name in enumerate(NAMES)}
    for name, found in places.items():
        if len(found) < _FEWEST and shares[NAMES.index(name)]:
            raise Malformed(
                f"{len(rows)} rows leave {len(found)} for the part {name!r}, which needs {_FEWEST}; "
                "give more rows"
            )
    tune, choose, final = (rows.take(places[name]) for name in NAMES)
    return Parts(tune, choose, final, places)


def _drawn(twins: Array, strata: Array, seed: int, shares: tuple[float, float, float]) -> Array:
    """The part of each row: groups of twins in random order, each stratum cut by the shares."""
    draw = np.random.default_rng(seed)
    _, first = np.unique(twins, return_index=True)
    group_part = np.zeros(len(first), dtype=np.int64)
    stratum_of = strata[first]
    cuts = np.cumsum(shares)[:2]
    for stratum in np.unique(stratum_of):
        members = draw.permutation(np.flatnonzero(stratum_of == stratum))
        # a random start: otherwise every class of two rows would leave the same part empty
        positions = (np.arange(len(members)) + draw.random()) / len(members) % 1.0
        group_part[members] = np.searchsorted(cuts, positions, side="right")
    return group_part[twins]


def _twins(inputs: Tensors) -> Array:
    """A number for each row, the same for rows that are the same."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(key, len(seen)) for key in _keys(inputs)], dtype=np.int64)


def _keys(inputs: Tensors) -> list[bytes]:
    """What each row is, in a few bytes."""
    names = sorted(inputs)
    return [
        hashlib.sha256(b"\0".join(_bytes(inputs[name][row]) for name in names)).digest()
        for row in range(len(inputs[names[0]]))
    ]


def _strata(rows: Rows) -> Array:
    """Classes; for numbers fifths of their range by rank, so that each part sees small and large ones."""
    truth = rows.truth
    if truth is None:
        return np.zeros(len(rows), dtype=np.int64)
    if truth.dtype.kind != "f":
        kinds, places = np.unique(truth.astype(str), return_inverse=True)
        return places if len(kinds) <= _MOST_CLASSES else np.zeros(len(truth), dtype=np.int64)
    flat = truth.reshape(len(truth), -1)[:, 0]
    return np.searchsorted(np.quantile(flat, [0.2, 0.4, 0.6, 0.8]), flat)


def _bytes(values: Array) -> bytes:
    array = np.asarray(values)
    if array.dtype == object:
        return msgspec.json.encode([str(item) for item in array.flat])
    return array.tobytes()


def _add(sha256: hashlib._Hash, name: str, values: Array) -> None:
    sha256.update(f"{name} {values.dtype} {values.shape}\n".encode())
    sha256.update(_bytes(values))

"""Keras models on whichever backend this process has, and what a child process says about them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

CASES = Path(__file__).parent / "keras_cases.py"


def tell_of(backend: str, folder: Path, *cases: str) -> dict[str, Any]:
    """What `keras_cases.py` finds on *backend*, in a process of its own: the backend is fixed for life."""
    done = subprocess.run(
        [sys.executable, CASES, folder, *cases],
        env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def classifier(activation: str = "relu", last: str | None = "softmax") -> Any:
    """Eight measurements, three classes; batch norm and dropout answer otherwise while it learns."""
    import keras  # noqa: PLC0415 (its backend is chosen late)

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation=activation),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(3, activation=last),
        ]
    )


def reader() -> Any:
    """Texts of any length, as numbers of words."""
    import keras  # noqa: PLC0415 (as above)

    layers = keras.layers
    return keras.Sequential([keras.Input((None,)), layers.Embedding(20, 4), layers.LSTM(5), layers.Dense(2)])


def house(*, by_name: bool = True) -> Any:
    """Two inputs and two outputs with names, given as mappings or as lists."""
    import keras  # noqa: PLC0415 (as above)

    layers = keras.layers
    left, right = keras.Input((4,), name="rooms"), keras.Input((3,), name="garden")
    joined = layers.Concatenate()([left, right])
    price, kind = layers.Dense(1, name="price")(joined), layers.Dense(2, "gelu", name="kind")(joined)
    if by_name:
        return keras.Model({"rooms": left, "garden": right}, {"price": price, "kind": kind})
    return keras.Model([left, right], [price, kind])


ROWS = np.random.default_rng(0).standard_normal((30, 8))
WORDS = np.random.default_rng(1).integers(0, 20, (9, 6))
HOUSES = {
    "rooms": np.random.default_rng(2).standard_normal((9, 4)),
    "garden": np.random.default_rng(3).standard_normal((9, 3)),
}

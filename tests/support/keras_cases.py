"""Run as a script: converts models on this process's backend of Keras and tells what came of it, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from forebay.core.errors import ForebayError
from forebay.workshop.convert import convert
from support.keras_models import HOUSES, ROWS, WORDS, classifier, house, reader

CASES: dict[str, Callable[[Path], Any]] = {
    "classifier": lambda _: convert(classifier("gelu"), ROWS, labels=["a", "b", "c"]),
    "reader": lambda _: convert(reader(), WORDS),
    "house": lambda _: convert(house(), HOUSES),
    "file": lambda folder: convert(folder / "model.keras"),
    "old file": lambda folder: convert(folder / "model.h5"),
}


def told(case: Callable[[Path], Any], folder: Path) -> Any:
    """The signature and the evidence, or the sentence that refuses."""
    try:
        converted = case(folder)
    except ForebayError as error:
        return str(error)
    return {
        "inputs": [[spec.name, spec.datatype.value, list(spec.shape)] for spec in converted.signature.inputs],
        "outputs": [
            [spec.name, spec.datatype.value, list(spec.shape)] for spec in converted.signature.outputs
        ],
        "evidence": converted.evidence[0],
    }


if __name__ == "__main__":
    backend = keras.backend.backend()
    found = {name: told(CASES[name], Path(sys.argv[1])) for name in sys.argv[2:]}
    print(json.dumps(found | {"before": backend, "after": keras.backend.backend()}))  # noqa: T201 (the parent reads it)

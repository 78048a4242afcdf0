"""A process in which Keras runs on another backend: `python -m … MODEL.keras MODEL.onnx`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def main(saved: str, file: str) -> None:
    """Load the first file, call the model once, and export it into the second."""
    import keras  # noqa: PLC0415 (heavy, and the parent chose its backend)
    import numpy as np  # noqa: PLC0415

    from forebay.workshop.convert.networks import Expected, generated  # noqa: PLC0415
    from forebay.workshop.convert.sources.keras_onnx import exported_here  # noqa: PLC0415

    model = keras.saving.load_model(saved, compile=False)
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise SystemExit("the model does not say which shapes it takes, so another backend cannot ask it")
    expected = [Expected(str(at), str(one.dtype), tuple(one.shape[1:])) for at, one in enumerate(inputs)]

    def call(values: list[Any]) -> Any:
        packed = keras.tree.pack_sequence_as(model.input, values) if len(values) > 1 else values[0]
        return model(packed, training=False)

    call([np.asarray(values) for values in generated(expected).values()])
    Path(file).write_bytes(exported_here(model, call, expected).SerializeToString())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 (the outermost frame: the parent reads the last line)
        sys.exit(" ".join(str(error).split())[:300] or type(error).__name__)

"""Olive's static int8 in one call, in its own environment: `python olive_call.py MODEL.onnx ROWS.npy OUT`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import olive
import onnx


def config(model: Path, rows: Path, out: Path, folder: Path) -> dict[str, object]:
    """Calibrated by *rows*, float32 [n, …], written one by one into *folder* as Olive reads them."""
    name = onnx.load(model).graph.input[0].name
    (folder / name).mkdir()
    values = np.load(rows)
    for number, row in enumerate(values):
        row[None].tofile(folder / name / f"{number:06}.bin")
    data = {
        "name": "rows",
        "type": "RawDataContainer",
        "load_dataset_config": {
            "data_dir": str(folder),
            "input_names": [name],
            "input_shapes": [[1, *values.shape[1:]]],
        },
    }
    return {
        "input_model": {"type": "ONNXModel", "model_path": str(model)},
        "data_configs": [data],
        "passes": {"int8": {"type": "OnnxStaticQuantization", "data_config": "rows"}},
        "output_dir": str(out),
        "cache_dir": str(folder / "cache"),
        "log_severity_level": 3,
    }


def main() -> None:
    """Quantise, and leave the model in the folder OUT."""
    model, rows, out = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        olive.run(config(model, rows, out, Path(folder)))


if __name__ == "__main__":
    main()

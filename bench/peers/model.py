"""What every peer does alike: open the model, read an Open Inference request, write an answer."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

DTYPES: dict[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
}
DATATYPES = {dtype: name for name, dtype in DTYPES.items()}
NAME = os.environ.get("BENCH_MODEL_NAME", "model")
PORT = int(os.environ.get("BENCH_PORT", "0"))
WORKERS = int(os.environ.get("BENCH_WORKERS", "1"))

Arrays = dict[str, NDArray[Any]]


class Model:
    """One ONNX Runtime session with one thread, as Forebay opens it for a small model."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("BENCH_THREADS", "1"))
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(os.environ["BENCH_MODEL"], options)
        self.inputs = [node.name for node in self._session.get_inputs()]
        self.outputs = [node.name for node in self._session.get_outputs()]

    def run(self, inputs: Arrays) -> Arrays:
        """One call of the model."""
        return dict(zip(self.outputs, self._session.run(self.outputs, inputs), strict=True))

    def run_batch(self, requests: list[Arrays]) -> list[Arrays]:
        """One call for several requests of one shape, and to each its own rows."""
        if len(requests) == 1:
            return [self.run(requests[0])]
        stacked = {name: np.concatenate([each[name] for each in requests]) for name in self.inputs}
        answer = self.run(stacked)
        ends = np.cumsum([len(each[self.inputs[0]]) for each in requests])[:-1]
        parts = {name: np.split(array, ends) for name, array in answer.items()}
        return [{name: parts[name][i] for name in self.outputs} for i in range(len(requests))]


def arrays_of(request: dict[str, Any]) -> Arrays:
    """The tensors of an Open Inference request in JSON, by way of Python's lists."""
    return {
        tensor["name"]: np.array(tensor["data"], dtype=DTYPES[tensor["datatype"]]).reshape(tensor["shape"])
        for tensor in request["inputs"]
    }


def answer_of(outputs: Arrays, data: Any = np.ravel) -> dict[str, Any]:
    """An Open Inference answer; *data* makes of an array what the peer's JSON encoder takes."""
    return {
        "model_name": NAME,
        "outputs": [
            {
                "name": name,
                "datatype": DATATYPES[array.dtype],
                "shape": list(array.shape),
                "data": data(array),
            }
            for name, array in outputs.items()
        ],
    }


def as_list(array: NDArray[Any]) -> list[Any]:
    """For encoders that know no NumPy."""
    values: list[Any] = array.ravel().tolist()
    return values

"""Triton's Python backend: the file `model.py` of its model repository."""

from __future__ import annotations

from typing import Any

import triton_python_backend_utils as triton

from bench.peers.model import Model


class TritonPythonModel:
    """Runs all requests that Triton's dynamic batcher hands over in one call."""

    def initialize(self, args: dict[str, str]) -> None:
        self._model = Model()

    def execute(self, requests: list[Any]) -> list[Any]:
        names = self._model.inputs
        asked = [
            {name: triton.get_input_tensor_by_name(request, name).as_numpy() for name in names}
            for request in requests
        ]
        return [
            triton.InferenceResponse([triton.Tensor(name, array) for name, array in answer.items()])
            for answer in self._model.run_batch(asked)
        ]

"""BentoML: a service with one asynchronous method."""

from __future__ import annotations

from typing import Any

import bentoml

from bench.peers.model import WORKERS, Model, answer_of, arrays_of, as_list


@bentoml.service(workers=WORKERS, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Inference:
    def __init__(self) -> None:
        self._model = Model()

    @bentoml.api
    async def predict(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        return answer_of(self._model.run(arrays_of({"inputs": inputs})), as_list)

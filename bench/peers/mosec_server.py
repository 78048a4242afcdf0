"""mosec: a Rust server in front of Python workers, with dynamic batching."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from mosec import Server, Worker

from bench.peers.model import PORT, WORKERS, Arrays, Model, answer_of, arrays_of


class Inference(Worker):
    def __init__(self) -> None:
        super().__init__()
        self._model = Model()

    def deserialize(self, data: bytes) -> Arrays:
        return arrays_of(orjson.loads(data))

    def forward(self, data: list[Arrays]) -> list[Arrays]:
        return self._model.run_batch(data)

    def serialize(self, data: Arrays) -> Any:
        return orjson.dumps(answer_of(data), option=orjson.OPT_SERIALIZE_NUMPY)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "--address", "127.0.0.1", "--port", str(PORT)]
    server = Server()
    server.append_worker(Inference, num=WORKERS, max_batch_size=16, max_wait_time=1)
    server.run()

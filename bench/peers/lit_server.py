"""LitServe: its default server with one worker."""

# Annotations stay values here: LitServe reads what `decode_request` takes.

from typing import Any

import litserve
from fastapi import Request

from bench.peers.model import PORT, WORKERS, Arrays, Model, answer_of, arrays_of, as_list


class Inference(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self._model = Model()

    def decode_request(self, request: Request) -> Arrays:
        document: Any = request  # LitServe has read its JSON already
        return arrays_of(document)

    def predict(self, x: Arrays) -> Arrays:
        return self._model.run(x)

    def encode_response(self, output: Arrays) -> dict[str, Any]:
        return answer_of(output, as_list)


if __name__ == "__main__":
    server = litserve.LitServer(Inference(), accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=PORT, num_api_servers=1, log_level="error", generate_client_file=False)

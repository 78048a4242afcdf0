"""Ray Serve: one replica behind its HTTP proxy."""

from __future__ import annotations

import os
import signal
from typing import Any

import orjson
import ray
from ray import serve
from ray.serve.config import HTTPOptions
from starlette.requests import Request
from starlette.responses import Response

from bench.peers.model import PORT, WORKERS, Model, answer_of, arrays_of


@serve.deployment(
    num_replicas=WORKERS,
    max_ongoing_requests=64,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False},
)
class Inference:
    def __init__(self) -> None:
        self._model = Model()

    async def __call__(self, request: Request) -> Response:
        outputs = self._model.run(arrays_of(orjson.loads(await request.body())))
        answer = orjson.dumps(answer_of(outputs), option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(answer, media_type="application/json")


if __name__ == "__main__":
    ray.init(
        num_cpus=4,  # its proxy and controller take cores of their own in its arithmetic
        include_dashboard=False,
        object_store_memory=128 << 20,
        runtime_env={"env_vars": {name: value for name, value in os.environ.items() if "BENCH_" in name}},
    )
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=PORT))
    deployment: Any = Inference
    serve.run(deployment.bind())
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()

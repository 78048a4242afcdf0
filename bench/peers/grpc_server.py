"""A minimal grpc.aio server of the Open Inference Protocol: one method, raw contents, no checks."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bench.peers.model import DATATYPES, DTYPES, NAME, PORT, Model


class Inference(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self) -> None:
        self._model = Model()

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        inputs = {
            tensor.name: np.frombuffer(raw, dtype=DTYPES[tensor.datatype]).reshape(tensor.shape)
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        answer = service_pb2.ModelInferResponse(model_name=NAME)
        for name, array in self._model.run(inputs).items():
            answer.outputs.add(name=name, datatype=DATATYPES[array.dtype], shape=array.shape)
            answer.raw_output_contents.append(array.tobytes())
        return answer


async def serve() -> None:
    """Listen until the process is ended."""
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Inference(), server)
    server.add_insecure_port(f"127.0.0.1:{PORT}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve())

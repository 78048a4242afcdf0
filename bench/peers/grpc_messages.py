"""gRPC for the benchmark itself, with the messages of tritonclient, in the venv that has them.

grpc_messages.py request MODEL INPUTS.npz BODY            write one framed ModelInferRequest
grpc_messages.py ask PORT BODY OUTPUTS.npz [NAME VALUE]   send it; write what came back, print its size
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

from bench.peers.model import DATATYPES, DTYPES

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_FRAME = struct.Struct(">BI")


def write_request(model: str, inputs: str, body: str) -> None:
    """The arrays of *inputs* as one message, framed as HTTP/2 carries it."""
    message = service_pb2.ModelInferRequest(model_name=model)
    with np.load(inputs) as arrays:
        for name in arrays:
            array = arrays[name]
            message.inputs.add(name=name, datatype=DATATYPES[array.dtype], shape=array.shape)
            message.raw_input_contents.append(array.tobytes())
    data = message.SerializeToString()
    Path(body).write_bytes(_FRAME.pack(0, len(data)) + data)


def ask(port: str, body: str, outputs: str, *headers: str) -> None:
    """Send the message of *body* once; raises `grpc.RpcError`."""
    metadata = [(name.lower(), value) for name, value in zip(headers[::2], headers[1::2], strict=True)]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(METHOD, response_deserializer=bytes)
        data = call(Path(body).read_bytes()[_FRAME.size :], metadata=metadata, timeout=30)
    answer = service_pb2.ModelInferResponse.FromString(data)
    arrays = {
        tensor.name: np.frombuffer(raw, dtype=DTYPES[tensor.datatype]).reshape(tensor.shape)
        for tensor, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }
    np.savez(outputs, **arrays)  # type: ignore[arg-type]  # names of tensors, not allow_pickle
    sys.stdout.write(f"{len(data) + _FRAME.size}\n")


if __name__ == "__main__":
    (write_request if sys.argv[1] == "request" else ask)(*sys.argv[2:])

"""The ways in of TensorFlow Serving's gRPC: PredictionService and ModelService."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from forebay.core import Permission, Signature
from forebay.serving.node import pages
from forebay.serving.node.grpc import GrpcDoor, Rpc
from forebay.serving.node.grpc_doors import answer_rpc, served_for
from forebay.serving.wire import Answer, Call, tfs_grpc

if TYPE_CHECKING:
    from forebay.serving.node.service import Node

_PROTOCOL = "tfs-grpc"


def _predict(node: Node, rpc: Rpc, message: bytes) -> None:
    call = tfs_grpc.decode_predict(message)
    answer_rpc(node, rpc, served_for(node, rpc, call.model, call.version), call, tfs_grpc.encode_predict)


def _examples(
    decode: Callable[[bytes], tfs_grpc.Examples],
    encode: Callable[[Answer, Signature, tuple[str, ...]], bytes],
    node: Node,
    rpc: Rpc,
    message: bytes,
) -> None:
    asked = decode(message)
    served = served_for(node, rpc, *asked.spec)
    signature = served.lane.signature

    def write(answer: Answer, _call: Call) -> bytes:
        return encode(answer, signature, asked.methods)

    answer_rpc(node, rpc, served, asked.call(signature), write)


def _status(node: Node, rpc: Rpc, message: bytes) -> None:
    model, version = tfs_grpc.read_asked("GetModelStatus", message)
    rpc.caller.require(Permission.PREDICT, model)
    rpc.reply(tfs_grpc.encode_status(pages.states(node, rpc.caller, model, version)))


def _metadata(node: Node, rpc: Rpc, message: bytes) -> None:
    model, version = tfs_grpc.read_asked("GetModelMetadata", message)
    rpc.caller.require(Permission.PREDICT, model)
    served = pages.one_of(node, rpc.caller, model, version)
    rpc.reply(tfs_grpc.encode_metadata(served.model, served.version, served.lane.signature))


_classify = partial(
    _examples,
    tfs_grpc.decode_classify,
    lambda answer, signature, _: tfs_grpc.encode_classify(answer, signature),
)
_regress = partial(
    _examples,
    tfs_grpc.decode_regress,
    lambda answer, signature, _: tfs_grpc.encode_regress(answer, signature),
)
_multi = partial(_examples, tfs_grpc.decode_multi, tfs_grpc.encode_multi)
_PREDICTION, _MODEL = "/tensorflow.serving.PredictionService", "/tensorflow.serving.ModelService"

TFS_GRPC_DOORS = tuple(
    GrpcDoor(path, Permission.PREDICT, answer, protocol=_PROTOCOL)
    for path, answer in (
        (f"{_PREDICTION}/Predict", _predict),
        (f"{_PREDICTION}/Classify", _classify),
        (f"{_PREDICTION}/Regress", _regress),
        (f"{_PREDICTION}/MultiInference", _multi),
        (f"{_PREDICTION}/GetModelMetadata", _metadata),
        (f"{_MODEL}/GetModelStatus", _status),
    )
)

TFS_UNSERVED = {
    f"{_MODEL}/HandleReloadConfigRequest": "models are loaded by deploying them: `forebay deploy NAME`",
}
"""Methods that clients of the protocol know and Forebay has not: what they are told."""

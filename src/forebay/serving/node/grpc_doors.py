"""gRPC's ways in for the Open Inference Protocol, health and reflection; and how any call is answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from forebay.core import Permission, Principal, UsageEvent
from forebay.core.errors import ForebayError, NotFound, Unsupported, message_for
from forebay.serving.engine import Outcome
from forebay.serving.node import pages
from forebay.serving.node.asking import CACHE_STATUS, answer_of, ask, usage_of
from forebay.serving.node.grpc import GrpcDoor, Rpc, Turn
from forebay.serving.node.http2_frames import header_block
from forebay.serving.node.routing import Served
from forebay.serving.wire import Answer, Call, oip_grpc, oip_grpc_pages

if TYPE_CHECKING:
    from forebay.serving.node.service import Node

_PROTOCOL = "oip-grpc"
_TRAILERS = {"": b""} | {
    use: header_block([(b"cache-status", said.encode())]) for use, said in CACHE_STATUS.items()
}
_FINAL = "triton_enable_empty_final_response"


# --- inference ---


def _infer(node: Node, rpc: Rpc, message: bytes) -> None:
    call = oip_grpc.decode_request(message)
    answer_rpc(node, rpc, served_for(node, rpc, call.model, call.version), call, oip_grpc.encode_answer)


def served_for(node: Node, rpc: Rpc, model: str, version: str | None) -> Served:
    """Who answers *model*, if the caller may ask it; raises `Forbidden`, `NotFound` or `NotReady`."""
    rpc.caller.require(Permission.PREDICT, model)
    return node.routing.find(rpc.caller.project, model, version)


def answer_rpc(
    node: Node, rpc: Rpc, served: Served, call: Call, encode: Callable[[Answer, Call], bytes]
) -> None:
    """Give the call a seat, freed when the caller hangs up, and answer what *encode* makes of it."""
    done = partial(_answered, node, rpc, served, call, encode)
    rpc.on_gone = ask(
        node.limiter, rpc.caller, served, call, rpc.message_bytes, rpc.began_s, rpc.wait_s, done
    )


def _answered(
    node: Node,
    rpc: Rpc,
    served: Served,
    call: Call,
    encode: Callable[[Answer, Call], bytes],
    outcome: Outcome,
) -> None:
    if rpc.gone:
        return
    if outcome.error is not None:
        rpc.refuse(outcome.error)
        return
    try:
        response = encode(answer_of(served, call, outcome), call)
    except ForebayError as error:
        rpc.refuse(error)
        return
    event = _usage(rpc, served, outcome, rpc.message_bytes, len(response), rpc.began_s)
    trailers = _TRAILERS[outcome.cache]
    if node.limiter.meters:
        standing = node.limiter.standing(rpc.caller, served.model)
        trailers += header_block([(name.encode(), said.encode()) for name, said in standing])
    if node.tracing is not None:
        trailers += rpc.traced(node.tracing, _about(served, outcome), outcome)
    node.outbox.post(_Reply(rpc, response, event, trailers))


def _about(served: Served, outcome: Outcome) -> dict[str, str | int]:
    """What a trace says of an answer."""
    return {
        "forebay.model": served.model,
        "forebay.version": served.version,
        "forebay.rows": outcome.rows,
        "forebay.cache": outcome.cache,
    }


def _usage(
    rpc: Rpc, served: Served, outcome: Outcome, request_bytes: int, response_bytes: int, began_s: float
) -> UsageEvent:
    assert rpc.door is not None
    return usage_of(
        rpc.caller,
        served,
        rpc.door.protocol,
        outcome,
        request_bytes=request_bytes,
        response_bytes=response_bytes,
        began_s=began_s,
        request_id=rpc.headers.get(b"x-request-id", b""),
    )


class _Reply(NamedTuple):
    """The `Letter` of a unary call."""

    rpc: Rpc
    response: bytes
    event: UsageEvent
    trailers: bytes

    @property
    def gone(self) -> bool:
        return self.rpc.gone

    def send(self) -> None:
        self.rpc.reply(self.response, self.trailers)

    def refuse(self, error: ForebayError) -> None:
        self.rpc.refuse(error)


# --- inference on a stream ---


def _stream_infer(node: Node, rpc: Rpc, message: bytes) -> None:
    """Each request is answered on its own: what is wrong with one ends neither the others nor the stream."""
    asked = _Asked(rpc, rpc.turn(), len(message), time.monotonic())
    call = Call("", {})
    try:
        call = oip_grpc.decode_request(message)
        served = served_for(node, rpc, call.model, call.version)
        done = partial(_stream_answered, node, asked, served, call)
        wait_s = node.config.request_wait_s
        asked.turn.leave = ask(
            node.limiter, rpc.caller, served, call, asked.request_bytes, asked.began_s, wait_s, done
        )
    except ForebayError as error:
        asked.fail(call, error)


class _Asked(NamedTuple):
    """One request of a stream."""

    rpc: Rpc
    turn: Turn
    request_bytes: int
    began_s: float

    def fail(self, call: Call, error: ForebayError) -> None:
        """Say *error* in the request's turn, or as the stream's own status where the caller wants that."""
        tracing = self.rpc.node.tracing
        if self.rpc.headers.get(b"triton_grpc_error") == b"true":
            self.rpc.refuse(error)
        else:
            if tracing is not None:
                self.rpc.traced(tracing, {}, error, self.began_s)
            self.turn.answer(oip_grpc.encode_stream_error(message_for(error), call.id))


def _stream_answered(node: Node, asked: _Asked, served: Served, call: Call, outcome: Outcome) -> None:
    asked.turn.leave = None
    if asked.rpc.gone or asked.rpc.said_all:
        return
    if outcome.error is not None:
        asked.fail(call, outcome.error)
        return
    try:
        answer = answer_of(served, call, outcome)
        response = oip_grpc.encode_answer(answer, call)
    except ForebayError as error:
        asked.fail(call, error)
        return
    event = _usage(asked.rpc, served, outcome, asked.request_bytes, len(response), asked.began_s)
    responses = [response]
    if call.parameters.get(_FINAL) is True:
        responses.append(oip_grpc.encode_final(answer))
    if node.tracing is not None:
        asked.rpc.traced(node.tracing, _about(served, outcome), outcome, asked.began_s)
    node.outbox.post(_StreamReply(asked, call, tuple(map(oip_grpc.streamed, responses)), event))


class _StreamReply(NamedTuple):
    """The `Letter` of one request of a stream."""

    asked: _Asked
    call: Call
    responses: tuple[bytes, ...]
    event: UsageEvent

    @property
    def gone(self) -> bool:
        return self.asked.rpc.gone or self.asked.rpc.said_all

    def send(self) -> None:
        self.asked.turn.answer(*self.responses)

    def refuse(self, error: ForebayError) -> None:
        self.asked.fail(self.call, error)


# --- pages ---


def _server_live(node: Node, rpc: Rpc, _message: bytes) -> None:
    rpc.reply(oip_grpc_pages.page("ServerLive", {"live": node.live}))


def _server_ready(node: Node, rpc: Rpc, _message: bytes) -> None:
    rpc.reply(oip_grpc_pages.page("ServerReady", {"ready": node.ready}))


def _server_metadata(node: Node, rpc: Rpc, _message: bytes) -> None:
    rpc.reply(oip_grpc_pages.page("ServerMetadata", pages.server(node)))


def _page(
    kind: str,
    read: Callable[[Node, Principal, str, str | None], dict[str, Any]],
    node: Node,
    rpc: Rpc,
    message: bytes,
) -> None:
    """Answer with a page about the model that the message names."""
    asked = oip_grpc_pages.read_asked(kind, message)
    rpc.caller.require(Permission.PREDICT, asked.name or None)
    rpc.reply(oip_grpc_pages.page(kind, read(node, rpc.caller, asked.name, asked.version)))


def _model_ready(node: Node, caller: Principal, model: str, version: str | None) -> dict[str, Any]:
    """A model that there is not is not ready: clients of this protocol ask before they load."""
    try:
        return {"ready": pages.ready(node, caller, model, version)}
    except NotFound:
        return {"ready": False}


def _model_config(node: Node, caller: Principal, model: str, version: str | None) -> dict[str, Any]:
    return {"config": pages.config(node, caller, model, version)}


def _index(node: Node, rpc: Rpc, message: bytes) -> None:
    repository, only_ready = oip_grpc_pages.read_index(message)
    if repository:
        raise Unsupported("there is one repository here, and it has no name; leave repository_name out")
    found = pages.index(node, rpc.caller, only_ready=only_ready)
    rpc.reply(oip_grpc_pages.page("RepositoryIndex", {"models": found}))


# --- health and reflection ---


def _health(node: Node, rpc: Rpc, message: bytes) -> None:
    _check_service(message)
    rpc.reply(oip_grpc_pages.health(node.ready))


def _health_watch(node: Node, rpc: Rpc, message: bytes) -> None:
    """Say how the node is, and again whenever that changes, until the caller leaves."""
    _check_service(message)
    rpc.turn()  # never answered: the stream stays open
    said: list[bool] = []

    def say() -> None:
        if said[-1:] != [node.ready]:
            said[:] = [node.ready]
            rpc.say(oip_grpc_pages.health(node.ready))

    rpc.on_check = say
    say()


def _check_service(message: bytes) -> None:
    service = oip_grpc_pages.read_health(message)
    if service and not any(service in spoken.services for spoken in oip_grpc_pages.SPOKEN):
        raise NotFound(f"there is no service {service!r} here; ask for '', the whole server")


def _reflect(version: str, _node: Node, rpc: Rpc, message: bytes) -> None:
    rpc.turn().answer(oip_grpc_pages.reflect(version, message))


_OIP = "/inference.GRPCInferenceService"
_ASK = Permission.PREDICT

GRPC_DOORS = (
    GrpcDoor(f"{_OIP}/ServerLive", None, _server_live),
    GrpcDoor(f"{_OIP}/ServerReady", None, _server_ready),
    GrpcDoor(f"{_OIP}/ServerMetadata", _ASK, _server_metadata, protocol=_PROTOCOL),
    GrpcDoor(f"{_OIP}/ModelReady", _ASK, partial(_page, "ModelReady", _model_ready), protocol=_PROTOCOL),
    GrpcDoor(
        f"{_OIP}/ModelMetadata", _ASK, partial(_page, "ModelMetadata", pages.metadata), protocol=_PROTOCOL
    ),
    GrpcDoor(f"{_OIP}/ModelConfig", _ASK, partial(_page, "ModelConfig", _model_config), protocol=_PROTOCOL),
    GrpcDoor(
        f"{_OIP}/ModelStatistics",
        _ASK,
        partial(_page, "ModelStatistics", pages.statistics),
        protocol=_PROTOCOL,
    ),
    GrpcDoor(f"{_OIP}/RepositoryIndex", _ASK, _index, protocol=_PROTOCOL),
    GrpcDoor(f"{_OIP}/ModelInfer", _ASK, _infer, protocol=_PROTOCOL),
    GrpcDoor(f"{_OIP}/ModelStreamInfer", _ASK, _stream_infer, streams=True, protocol=_PROTOCOL),
    GrpcDoor("/grpc.health.v1.Health/Check", None, _health),
    GrpcDoor("/grpc.health.v1.Health/Watch", None, _health_watch, streams=True),
    *(
        GrpcDoor(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            _ASK,
            partial(_reflect, version),
            streams=True,
            protocol=_PROTOCOL,
        )
        for version in ("v1", "v1alpha")
    ),
)
"""A new line here is a new way in, with the permission that it takes."""

UNSERVED = {
    f"{_OIP}/RepositoryModelLoad": "models are loaded by deploying them: `forebay deploy NAME`",
    f"{_OIP}/RepositoryModelUnload": "models are unloaded on the hub, by deleting their deployment",
    **{
        f"{_OIP}/{kind}SharedMemory{what}": "shared memory is not served here; send the data in the request"
        for kind in ("System", "Cuda")
        for what in ("Status", "Register", "Unregister")
    },
    f"{_OIP}/TraceSetting": "there are no trace settings here",
    f"{_OIP}/LogSettings": "logging is set where the node starts: FOREBAY_LOG_LEVEL",
}
"""Methods that clients of the protocol know and Forebay has not: what they are told."""

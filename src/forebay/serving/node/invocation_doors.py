"""The ways in of those who ask "the model": MLflow, SageMaker, Databricks, Vertex AI, Azure ML."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from forebay.core import Permission
from forebay.core.errors import ForebayError, Malformed, UnknownMedia
from forebay.serving.engine import Outcome
from forebay.serving.node import pages
from forebay.serving.node.answers import Written, answer_call, body_of, oip_error, plain_error, served_for
from forebay.serving.node.asking import answer_of
from forebay.serving.node.doors import Door, Refusal
from forebay.serving.node.exchange import JSON, TEXT, Exchange
from forebay.serving.node.routing import Served
from forebay.serving.node.tfs_doors import predict
from forebay.serving.wire import Call, invocations, refusals

if TYPE_CHECKING:
    from forebay.serving.node.service import Node

_MODEL_HEADERS = (b"x-forebay-model", b"x-amzn-sagemaker-target-model")


def _invoke(protocol: str, node: Node, exchange: Exchange) -> None:
    _choose_model(node, exchange)
    served = served_for(node, exchange)
    kind = exchange.headers.get(b"content-type")
    signature = served.lane.signature
    call = invocations.decode_request(
        body_of(node, exchange), kind, signature, served.model, exchange.version
    )
    answer_call(node, exchange, served, call, protocol, _WRITERS[protocol])


def _predict_default(node: Node, exchange: Exchange) -> None:
    _choose_model(node, exchange)
    predict("vertex", node, exchange)


def _choose_model(node: Node, exchange: Exchange) -> None:
    """The model that a header names, the node's default, or the only one that the caller may ask."""
    if exchange.model:
        return
    caller = exchange.principal
    assert caller is not None
    named = next((exchange.headers[name] for name in _MODEL_HEADERS if name in exchange.headers), b"")
    model = named.decode("latin-1") or node.config.default_model
    if not model:
        names = pages.names(node, caller)
        if len(names) != 1:
            raise Malformed(
                f"this key may ask {len(names)} models, and the request names none; send the header "
                "X-Forebay-Model, or set FOREBAY_DEFAULT_MODEL where the node starts"
            )
        model = names[0]
    caller.require(Permission.PREDICT, model)
    exchange.model = model


def _predicted(served: Served, call: Call, outcome: Outcome) -> Written:
    return Written(invocations.encode_answer(answer_of(served, call, outcome), served.lane.signature))


def _for_aws(served: Served, call: Call, outcome: Outcome) -> Written:
    body = invocations.encode_answer(answer_of(served, call, outcome), served.lane.signature)
    return Written(body, JSON, b"x-amzn-invoked-production-variant: version-%d\r\n" % served.version)


_WRITERS = {"mlflow": _predicted, "azure": _predicted, "sagemaker": _for_aws}


def _ping(node: Node, exchange: Exchange) -> None:
    """SageMaker and MLflow look at the status only; TorchServe's scripts read the words."""
    body = b'{"status":"Healthy"}' if node.ready else b'{"status":"Unhealthy"}'
    exchange.reply(200 if node.ready else 503, body)


def _health(node: Node, exchange: Exchange) -> None:
    exchange.reply(200 if node.ready else 503, b"\n", TEXT)


def _alive(node: Node, exchange: Exchange) -> None:
    """KServe v1's word for it; Azure ML looks at the status only."""
    exchange.reply(200 if node.live else 503, b'{"status":"alive"}' if node.live else b'{"status":"hangs"}')


def _version(node: Node, exchange: Exchange) -> None:
    exchange.reply(200, node.config.release.encode(), TEXT)


def mlflow_error(error: ForebayError) -> Refusal:
    """*error* as MLflow's scoring server says it."""
    if isinstance(error, UnknownMedia):
        return Refusal(error.status, refusals.said(error).encode(), TEXT)
    return Refusal(error.status, refusals.mlflow_error(error))


def sagemaker_error(error: ForebayError) -> Refusal:
    """*error* as SageMaker's runtime says it."""
    status, name, body = refusals.sagemaker_error(error)
    return Refusal(status, body, JSON, f"x-amzn-errortype: {name}\r\n".encode())


_ASK = Permission.PREDICT
_MLFLOW, _AWS, _AZURE = (partial(_invoke, protocol) for protocol in ("mlflow", "sagemaker", "azure"))

INVOCATION_DOORS = (
    Door("GET", "/", None, _alive, plain_error),
    Door("GET", "/ping", None, _ping, mlflow_error),
    Door("GET", "/health", None, _health, mlflow_error),
    Door("GET", "/version", _ASK, _version, mlflow_error, "mlflow"),
    Door("POST", "/invocations", _ASK, _MLFLOW, mlflow_error, "mlflow"),
    Door("POST", "/serving-endpoints/{model}/invocations", _ASK, _MLFLOW, mlflow_error, "mlflow"),
    Door("POST", "/endpoints/{model}/invocations", _ASK, _AWS, sagemaker_error, "sagemaker"),
    Door("POST", "/score", _ASK, _AZURE, mlflow_error, "azure"),
)


def cloud_doors(health_route: str, predict_route: str) -> tuple[Door, ...]:
    """The ways in at paths that a cloud chooses, such as Vertex AI's; none for an empty path."""
    health = Door("GET", health_route, None, _ping, plain_error)
    predict_there = Door("POST", predict_route, _ASK, _predict_default, oip_error, "vertex")
    return tuple(door for door in (health, predict_there) if door.path)

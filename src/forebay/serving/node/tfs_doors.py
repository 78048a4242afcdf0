"""The ways in of TensorFlow Serving's REST protocol; KServe v1 asks at the same paths."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from forebay.core import Permission
from forebay.serving.engine import Outcome
from forebay.serving.node import pages
from forebay.serving.node.answers import Write, Written, answer_call, body_of, oip_error, served_for
from forebay.serving.node.asking import answer_of
from forebay.serving.node.doors import Door
from forebay.serving.node.encoding import encoded
from forebay.serving.node.exchange import JSON, Exchange
from forebay.serving.node.routing import Served
from forebay.serving.wire import Call, oip_pages, tfs

if TYPE_CHECKING:
    from forebay.serving.node.service import Node

_PROTOCOL = "tfs"


def predict(protocol: str, node: Node, exchange: Exchange) -> None:
    """Answer a predict request of either form."""
    served = _served(node, exchange)
    asked = tfs.decode_predict(body_of(node, exchange), served.lane.signature, served.model, exchange.version)
    write = _BY_ROW if asked.by_row else _BY_COLUMN
    answer_call(node, exchange, served, asked.call, protocol, write)


def _examples(write: Write, node: Node, exchange: Exchange) -> None:
    served = _served(node, exchange)
    call = tfs.decode_examples(body_of(node, exchange), served.lane.signature, served.model, exchange.version)
    answer_call(node, exchange, served, call, _PROTOCOL, write)


def _served(node: Node, exchange: Exchange) -> Served:
    exchange.version = version_of(exchange.version)
    return served_for(node, exchange)


def version_of(said: str | None) -> str | None:
    """The version that a client means: OpenVINO's says 0 where it means none."""
    return None if said == "0" else said


def _predicted(by_row: bool, served: Served, call: Call, outcome: Outcome) -> Written:
    return Written(tfs.encode_predict(answer_of(served, call, outcome), served.lane.signature, by_row=by_row))


_BY_ROW, _BY_COLUMN = partial(_predicted, True), partial(_predicted, False)


def _classified(served: Served, call: Call, outcome: Outcome) -> Written:
    return Written(tfs.encode_classify(answer_of(served, call, outcome), served.lane.signature))


def _regressed(served: Served, call: Call, outcome: Outcome) -> Written:
    return Written(tfs.encode_regress(answer_of(served, call, outcome), served.lane.signature))


def _models(node: Node, exchange: Exchange) -> None:
    assert exchange.principal is not None
    exchange.reply(200, oip_pages.models(pages.names(node, exchange.principal)))


def _status(node: Node, exchange: Exchange) -> None:
    """TensorFlow Serving's states, and what KServe v1 wants to read at the same place."""
    assert exchange.principal is not None
    version = version_of(exchange.version)
    states = pages.states(node, exchange.principal, exchange.model, version)
    is_ready = any(state == "AVAILABLE" for state, _ in states.values())
    said = tfs.status_page(states)
    if version is None:
        said |= {"name": exchange.model, "ready": is_ready}
    exchange.reply(200, oip_pages.encode(said))


def _metadata(node: Node, exchange: Exchange) -> None:
    assert exchange.principal is not None
    served = pages.one_of(node, exchange.principal, exchange.model, version_of(exchange.version))
    page = tfs.metadata_page(served.model, served.version, served.lane.signature)
    body, line = encoded(oip_pages.encode(page), exchange.headers.get(b"accept-encoding"))
    exchange.reply(200, body, JSON, line)


_MODEL = "/v1/models/{model}"
_OF_MODEL = (_MODEL, f"{_MODEL}/versions/{{version}}", f"{_MODEL}/labels/{{version}}")
_ASK = Permission.PREDICT

TFS_DOORS = (
    Door("GET", "/v1/models", _ASK, _models, oip_error, _PROTOCOL),
    *(Door("GET", path, _ASK, _status, oip_error, _PROTOCOL) for path in _OF_MODEL),
    *(Door("GET", f"{path}/metadata", _ASK, _metadata, oip_error, _PROTOCOL) for path in _OF_MODEL),
    *(
        Door("POST", f"{path}:{verb}", _ASK, answer, oip_error, _PROTOCOL)
        for path in _OF_MODEL
        for verb, answer in (
            ("predict", partial(predict, _PROTOCOL)),
            ("classify", partial(_examples, _classified)),
            ("regress", partial(_examples, _regressed)),
        )
    ),
)
"""A label is an alias, and asked for like a version."""

"""What is behind each door: bytes → call → lane → answer → bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from forebay.core import Permission, Principal, UsageEvent
from forebay.core.errors import ForebayError, message_for
from forebay.serving.engine import Outcome
from forebay.serving.node import pages
from forebay.serving.node.asking import CACHE_STATUS, answer_of, ask, usage_of
from forebay.serving.node.doors import Door, Refusal
from forebay.serving.node.encoding import decoded, encoded
from forebay.serving.node.exchange import BINARY, JSON, Exchange
from forebay.serving.node.http import header_lines
from forebay.serving.node.routing import Served
from forebay.serving.wire import Call, oip, oip_pages, rows

if TYPE_CHECKING:
    from forebay.serving.node.service import Node
    from forebay.serving.node.tracing import Tracing

_CACHE_LINES = {use: f"cache-status: {said}\r\n".encode() for use, said in CACHE_STATUS.items()}
_PROMETHEUS = b"text/plain; version=1.0.0; charset=utf-8"


class Written(NamedTuple):
    """An answer as a protocol writes it; `headers` are whole lines, each with its CRLF."""

    body: bytes
    content_type: bytes = JSON
    headers: bytes = b""


Write = Callable[[Served, Call, Outcome], Written]
"""How a protocol writes what the model said; may raise `ForebayError`."""


def _infer(node: Node, exchange: Exchange) -> None:
    served = served_for(node, exchange)
    body = body_of(node, exchange)
    json_size = oip.json_size_from(exchange.headers.get(b"inference-header-content-length"), len(body))
    call = oip.decode_request(body, json_size, served.model, exchange.version, served.lane.signature)
    answer_call(node, exchange, served, call, "oip", _in_oip)


def _predict(node: Node, exchange: Exchange) -> None:
    served = served_for(node, exchange)
    call = rows.decode_request(body_of(node, exchange), served.lane.signature, served.model, exchange.version)
    answer_call(node, exchange, served, call, "rows", _in_rows)


def served_for(node: Node, exchange: Exchange) -> Served:
    """Who answers the model that the path names; raises `NotFound` or `NotReady`."""
    assert exchange.principal is not None
    return node.routing.find(exchange.principal.project, exchange.model, exchange.version)


def body_of(node: Node, exchange: Exchange) -> bytes:
    """The body without its Content-Encoding; raises `Malformed` or `TooLarge`."""
    encoding = exchange.headers.get(b"content-encoding")
    if encoding is None:
        return exchange.body
    return decoded(exchange.body, encoding, node.config.max_body_bytes)


def answer_call(
    node: Node, exchange: Exchange, served: Served, call: Call, protocol: str, write: Write
) -> None:
    """Give the call a seat, freed when the caller hangs up, and answer as *write* says."""
    done = partial(_answered, node, exchange, served, call, protocol, write)
    wait_s, cache_control = node.config.request_wait_s, exchange.headers.get(b"cache-control")
    caller = exchange.principal
    assert caller is not None
    exchange.on_gone = ask(
        node.limiter, caller, served, call, exchange.size, exchange.began_s, wait_s, done, cache_control
    )


def _answered(
    node: Node,
    exchange: Exchange,
    served: Served,
    call: Call,
    protocol: str,
    write: Write,
    outcome: Outcome,
) -> None:
    if exchange.gone:
        return
    if outcome.error is not None:
        node.refuse(exchange, outcome.error, _timing(outcome))
        return
    try:
        body, content_type, headers = write(served, call, outcome)
    except ForebayError as error:
        node.refuse(exchange, error)
        return
    if outcome.cache:
        headers += _CACHE_LINES[outcome.cache]
    if b"accept-encoding" in exchange.headers:
        body, line = encoded(body, exchange.headers[b"accept-encoding"])
        headers += line
    headers += _timing(outcome)
    if node.tracing is not None:
        headers += _traced(node.tracing, exchange, served, outcome)
    assert exchange.principal is not None
    if node.limiter.meters:
        headers += header_lines(node.limiter.standing(exchange.principal, served.model))
    event = usage_of(
        exchange.principal,
        served,
        protocol,
        outcome,
        request_bytes=exchange.size,
        response_bytes=len(body),
        began_s=exchange.began_s,
        request_id=exchange.headers.get(b"x-request-id", b""),
    )
    node.outbox.post(_Reply(node, exchange, body, content_type, headers, event))


def _traced(tracing: Tracing, exchange: Exchange, served: Served, outcome: Outcome) -> bytes:
    """Tell of an answer; the header line by which the caller finds its trace, if there is one."""
    said: dict[str, str | int] = {
        "forebay.version": served.version,
        "forebay.rows": outcome.rows,
        "forebay.cache": outcome.cache,
    }
    return traced(tracing, exchange, 200, said, outcome)


def traced(
    tracing: Tracing,
    exchange: Exchange,
    status: int,
    said: dict[str, str | int],
    result: Outcome | ForebayError,
) -> bytes:
    """Tell of one exchange; *said* is what is known beside door, model and status."""
    door = exchange.door
    method, path = exchange.method.decode("latin-1"), "none" if door is None else door.path
    about = said | {"http.request.method": method, "http.route": path, "http.response.status_code": status}
    if exchange.principal is not None:
        about |= {"forebay.project": exchange.principal.project, "forebay.model": exchange.model}
    found = tracing.tell(f"{method} {path}", exchange.headers, exchange.began_s, about, result)
    return f"traceresponse: {found}\r\n".encode() if found else b""


def _timing(outcome: Outcome) -> bytes:
    """Where the time went, in milliseconds."""
    return b"server-timing: queue;dur=%.3f, compute;dur=%.3f\r\n" % (
        outcome.queue_ns / 1e6,
        outcome.compute_ns / 1e6,
    )


class _Reply(NamedTuple):
    """The `Letter` of an HTTP request."""

    node: Node
    exchange: Exchange
    body: bytes
    content_type: bytes
    headers: bytes
    event: UsageEvent

    @property
    def gone(self) -> bool:
        return self.exchange.gone

    def send(self) -> None:
        self.exchange.reply(200, self.body, self.content_type, self.headers)

    def refuse(self, error: ForebayError) -> None:
        self.node.refuse(self.exchange, error)


def _in_rows(served: Served, call: Call, outcome: Outcome) -> Written:
    return Written(rows.encode_answer(answer_of(served, call, outcome), served.lane.signature))


def _in_oip(served: Served, call: Call, outcome: Outcome) -> Written:
    body, json_size = oip.encode_answer(answer_of(served, call, outcome), call)
    if json_size is None:
        return Written(body)
    return Written(body, BINARY, b"inference-header-content-length: %d\r\n" % json_size)


def _live(node: Node, exchange: Exchange) -> None:
    exchange.reply(200 if node.live else 503, oip_pages.live(node.live))


def _ready(node: Node, exchange: Exchange) -> None:
    exchange.reply(200 if node.ready else 503, oip_pages.ready(node.ready))


def _server(node: Node, exchange: Exchange) -> None:
    exchange.reply(200, oip_pages.encode(pages.server(node)))


def _models(node: Node, exchange: Exchange) -> None:
    assert exchange.principal is not None
    exchange.reply(200, oip_pages.models(pages.names(node, exchange.principal)))


def _read(
    page: Callable[[Node, Principal, str, str | None], dict[str, Any]], node: Node, exchange: Exchange
) -> None:
    """Answer with a page about the model that the path names."""
    assert exchange.principal is not None
    found = page(node, exchange.principal, exchange.model, exchange.version)
    body, line = encoded(oip_pages.encode(found), exchange.headers.get(b"accept-encoding"))
    exchange.reply(200, body, JSON, line)


_metadata = partial(_read, pages.metadata)
_config = partial(_read, pages.config)
_statistics = partial(_read, pages.statistics)
_openapi = partial(_read, pages.openapi)


def _model_ready(node: Node, exchange: Exchange) -> None:
    assert exchange.principal is not None
    is_ready = pages.ready(node, exchange.principal, exchange.model, exchange.version)
    exchange.reply(200 if is_ready else 503, oip_pages.model_ready(exchange.model, is_ready))


def _index(node: Node, exchange: Exchange) -> None:
    assert exchange.principal is not None
    only_ready = oip_pages.wants_ready(body_of(node, exchange))
    found = pages.index(node, exchange.principal, only_ready=only_ready)
    exchange.reply(200, oip_pages.encode(found))


def _metrics(node: Node, exchange: Exchange) -> None:
    body, line = encoded(node.metrics.page(), exchange.headers.get(b"accept-encoding"))
    exchange.reply(200, body, _PROMETHEUS, line)


def oip_error(error: ForebayError) -> Refusal:
    """*error* as the Open Inference Protocol says it."""
    return Refusal(error.status, oip_pages.encode_error(message_for(error)))


def plain_error(error: ForebayError) -> Refusal:
    """*error* as the plain door says it."""
    return Refusal(error.status, rows.encode_error(error))


_MODELS = "/v2/models"
_MODEL = "/v2/models/{model}"
_VERSION = "/v2/models/{model}/versions/{version}"
_ASK = Permission.PREDICT

DOORS = (
    Door("GET", "/v2/health/live", None, _live, oip_error),
    Door("GET", "/v2/health/ready", None, _ready, oip_error),
    Door("GET", "/v2", _ASK, _server, oip_error, "oip"),
    Door("GET", _MODELS, _ASK, _models, oip_error, "oip"),
    Door("GET", f"{_MODELS}/stats", _ASK, _statistics, oip_error, "oip"),  # before a model called "stats"
    Door("GET", _MODEL, _ASK, _metadata, oip_error, "oip"),
    Door("GET", _VERSION, _ASK, _metadata, oip_error, "oip"),
    Door("GET", f"{_MODEL}/ready", _ASK, _model_ready, oip_error, "oip"),
    Door("GET", f"{_VERSION}/ready", _ASK, _model_ready, oip_error, "oip"),
    Door("GET", f"{_MODEL}/config", _ASK, _config, oip_error, "oip"),
    Door("GET", f"{_VERSION}/config", _ASK, _config, oip_error, "oip"),
    Door("GET", f"{_MODEL}/stats", _ASK, _statistics, oip_error, "oip"),
    Door("GET", f"{_VERSION}/stats", _ASK, _statistics, oip_error, "oip"),
    Door("POST", f"{_MODEL}/infer", _ASK, _infer, oip_error, "oip"),
    Door("POST", f"{_VERSION}/infer", _ASK, _infer, oip_error, "oip"),
    Door("POST", "/v2/repository/index", _ASK, _index, oip_error, "oip"),
    Door("POST", "/predict/{model}", _ASK, _predict, plain_error, "rows"),
    Door("POST", "/predict/{model}/versions/{version}", _ASK, _predict, plain_error, "rows"),
    Door("GET", "/predict/{model}/openapi.json", _ASK, _openapi, plain_error, "rows"),
    Door("GET", "/predict/{model}/versions/{version}/openapi.json", _ASK, _openapi, plain_error, "rows"),
    Door("GET", "/metrics", Permission.OBSERVE, _metrics, plain_error, "metrics"),
)
"""The ways in of the Open Inference Protocol and of the plain door; `http_doors` has them all."""

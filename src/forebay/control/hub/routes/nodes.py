"""What nodes tell the hub, and what it tells of them."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Response

from forebay.control.hub.bodies.nodes import LEASE_ASK, LEASES, REPORT, Expected, Node, NodeList
from forebay.control.hub.guard import allowed
from forebay.control.hub.problems import problems
from forebay.control.hub.raw import RawBody, body_of
from forebay.control.hub.services import Hub
from forebay.core import LeaseAsk, NodeReport, Permission, Principal, Shipment
from forebay.core.errors import Malformed

router = APIRouter(prefix="/api/v1", tags=["nodes"])

_FROM_NODES = [Depends(allowed(Permission.NODE))]
_Message = TypeVar("_Message")
_REPORTS = msgspec.json.Decoder(NodeReport)
_LEASE_ASKS = msgspec.json.Decoder(LeaseAsk)
_SHIPMENTS = msgspec.msgpack.Decoder(Shipment)


@router.post(
    "/nodes/{name}/report",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=_FROM_NODES,
    openapi_extra=body_of("application/json", REPORT, "A NodeReport; its name is the one in the path."),
)
def report(name: str, body: RawBody, hub: Hub) -> None:
    """Keep what a node says of itself. One that reports every few seconds is alive."""
    found = _decoded(_REPORTS.decode, body, "node report")
    if found.name != name:
        raise Malformed(
            f"the path names the node {name[:80]!r}, the report {found.name[:80]!r}; make them the same"
        )
    hub.nodes.report(found)
    hub.access.note_used(found.keys_used)


@router.post(
    "/nodes/{name}/usage",
    dependencies=_FROM_NODES,
    responses=problems(413),
    openapi_extra=body_of(
        "application/x-msgpack",
        {"journal": "node-1-0-5f2a", "frames": ""},
        "A Shipment in MessagePack: a journal, and frames of its usage events, end to end, as bytes.",
    ),
)
def ship(name: str, body: RawBody, hub: Hub) -> Expected:
    """Take usage events over into the ledger, each once however often it is sent.

    Without frames it only says which number is expected next. Numbers that were left out are kept as a gap.
    """
    return Expected(next_seq=hub.ledger.ingest(name, _decoded(_SHIPMENTS.decode, body, "shipment")))


@router.post(
    "/nodes/{name}/leases",
    dependencies=_FROM_NODES,
    response_class=Response,
    responses={200: {"description": "A LeaseAnswer", "content": {"application/json": {"example": LEASES}}}},
    openapi_extra=body_of(
        "application/json", LEASE_ASK, "A LeaseAsk: permits held, and more of them wanted."
    ),
)
def lease(name: str, body: RawBody, hub: Hub) -> Response:  # noqa: ARG001 (stands in the log)
    """Hand out permits of limits, never more in all than the limit; each worker is a holder of its own."""
    answer = hub.leases.answer(_decoded(_LEASE_ASKS.decode, body, "question for leases"))
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.get("/nodes")
def list_nodes(who: Annotated[Principal, Depends(allowed(Permission.READ))], hub: Hub) -> NodeList:
    """Every node; which versions it serves is shown for your project, to administrators for all."""
    everything = Permission.PROJECTS in who.permissions
    return NodeList(
        items=[
            Node.of(node, [one for one in node.report.versions if everything or one.project == who.project])
            for node in hub.nodes.list()
        ]
    )


@router.delete(
    "/nodes/{name}",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=[Depends(allowed(Permission.PROJECTS))],
    responses=problems(404),
)
def remove_node(name: str, hub: Hub) -> None:
    """Forget a node that will not come back; one that does is listed again with its next report."""
    hub.nodes.remove(name)


def _decoded(decode: Callable[[bytes], _Message], body: bytes, what: str) -> _Message:
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"this is no {what}: {error}") from error

"""Whether the hub is there, and how it is doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from fastapi import APIRouter, Depends, Request, Response

from forebay.control.hub.bodies.monitor import Health
from forebay.control.hub.guard import allowed
from forebay.control.hub.services import Hub, Services
from forebay.control.monitor import HubMetrics, Level
from forebay.control.store import current
from forebay.core import Permission

router = APIRouter(tags=["monitor"])


@router.get("/api/v1/health")
def health(request: Request) -> Health:
    """Whether the hub answers; the only route that asks for no key."""
    return Health(status="ok", release=request.app.version)


@router.get(
    "/metrics",
    response_class=Response,
    dependencies=[Depends(allowed(Permission.OBSERVE))],
    responses={200: {"content": {HubMetrics.content_type: {"example": "forebay_hub_snapshot 7.0"}}}},
)
def metrics(request: Request, hub: Hub) -> Response:
    """Everything the hub counts, in Prometheus's text format."""
    counted: HubMetrics = request.app.state.metrics
    return Response(counted.page(_levels(hub)), media_type=HubMetrics.content_type)


def _levels(hub: Services) -> Iterator[Level]:
    yield Level("forebay_hub_snapshot", "The number of the last change.", lambda: _snapshot(hub))
    yield Level("forebay_hub_nodes", "Nodes, by whether they are alive.", lambda: _nodes(hub), "state")
    yield Level("forebay_hub_ledger_events", "Usage events in the ledger.", lambda: {"": hub.ledger.count()})
    yield Level("forebay_hub_missing_events", "Usage events that never arrived.", lambda: _missing(hub))
    yield Level("forebay_hub_jobs", "Jobs, by state.", hub.jobs.counts, "state")


def _snapshot(hub: Services) -> Mapping[str, float]:
    with hub.database.read() as session:
        return {"": current(session)[1]}


def _nodes(hub: Services) -> Mapping[str, float]:
    found = Counter("alive" if node.alive else "away" for node in hub.nodes.list())
    return {state: found[state] for state in ("alive", "away")}


def _missing(hub: Services) -> Mapping[str, float]:
    return {"": sum(gap.missing for gap in hub.ledger.gaps())}

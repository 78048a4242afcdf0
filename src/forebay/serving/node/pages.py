"""What a caller may read about a node and its models, whatever door they came by.

Functions give a page as plain data; HTTP writes it as JSON, gRPC as a message. All raise `NotFound`
for a model that is not the caller's, and `NotReady` while it loads.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from forebay.core import Principal
from forebay.core.errors import NotReady
from forebay.serving.engine.stats import LaneStats
from forebay.serving.node.routing import Route, Served
from forebay.serving.wire import oip_config, oip_pages
from forebay.serving.wire.oip_statistics import (
    Duration,
    InferStatistics,
    ModelStatistics,
    batch_statistics,
    described,
)
from forebay.serving.wire.openapi import described as openapi_of

if TYPE_CHECKING:
    from forebay.serving.node.service import Node

EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "parameters", "statistics")


def server(node: Node) -> dict[str, Any]:
    """Who answers here."""
    return oip_pages.server("forebay", node.config.release, EXTENSIONS)


def names(node: Node, caller: Principal) -> list[str]:
    """The deployed models that *caller* may ask."""
    return sorted(
        model for owner, model in node.routing.all() if owner == caller.project and caller.may_use(model)
    )


def metadata(node: Node, caller: Principal, model: str, version: str | None) -> dict[str, Any]:
    """What a model takes and gives."""
    served = one_of(node, caller, model, version)
    platform = oip_config.platform_of(served.info.backend, served.info.model)
    versions = map(str, _versions(node, caller, model))
    return oip_pages.model(served.model, versions, platform, served.lane.signature)


def ready(node: Node, caller: Principal, model: str, version: str | None) -> bool:
    """Whether a model answers."""
    try:
        return one_of(node, caller, model, version).ready
    except NotReady:
        return False


def states(node: Node, caller: Principal, model: str, version: str | None) -> dict[int, tuple[str, str]]:
    """The state of each version, or of the one that is meant, as TensorFlow Serving says it; its trouble."""
    if version:
        found = [one_of(node, caller, model, version)]
    else:
        found = [served for _, served in sorted(route_of(node, caller, model).by_version.items())]
    return {served.version: _state(served) for served in found}


def _state(served: Served) -> tuple[str, str]:
    why = served.error or served.lane.trouble
    return ("AVAILABLE" if served.ready else "END" if why else "LOADING"), why


def config(node: Node, caller: Principal, model: str, version: str | None) -> dict[str, Any]:
    """How a version is executed."""
    served = one_of(node, caller, model, version)
    limits = served.lane.limits
    return oip_config.described(
        oip_config.Served(
            model=served.model,
            versions=_versions(node, caller, model),
            backend=served.info.backend,
            file=served.info.model,
            signature=served.lane.signature,
            batch_rows=limits.batch_rows,
            wait_s=limits.wait_s,
        )
    )


def openapi(node: Node, caller: Principal, model: str, version: str | None) -> dict[str, Any]:
    """The plain door to a model, for programs that write clients; raises `Malformed` if it takes no rows."""
    served = one_of(node, caller, model, version)
    path = f"/predict/{model}/versions/{version}" if version else f"/predict/{model}"
    return openapi_of(
        served.model, served.version, node.config.release, path, served.info.signature, served.artifact.row
    )


def statistics(node: Node, caller: Principal, model: str, version: str | None) -> dict[str, Any]:
    """What this process has counted since it loaded each version; of all models for an empty name."""
    if not model:
        routes = [node.routing.get(caller.project, name) for name in names(node, caller)]
        return described(_counted(each) for route in routes if route is not None for each in route.served)
    if version:
        return described([_counted(node.routing.find(caller.project, model, version))])
    route = route_of(node, caller, model)
    return described(_counted(each) for each in route.served)


def index(node: Node, caller: Principal, *, only_ready: bool) -> list[dict[str, str]]:
    """Every deployed version and its state."""
    items = []
    for name in names(node, caller):
        route = node.routing.get(caller.project, name)
        if route is not None:
            found = sorted(route.by_version.items())
            items += [_indexed(served) for _, served in found if served.ready or not only_ready]
        elif not only_ready:
            items.append({"name": name, "version": "", "state": "LOADING", "reason": "it is being fetched"})
    return items


def _indexed(served: Served) -> dict[str, str]:
    why = served.error or served.lane.trouble
    state = "READY" if served.ready else "UNAVAILABLE" if why else "LOADING"
    return {"name": served.model, "version": str(served.version), "state": state, "reason": why}


def one_of(node: Node, caller: Principal, model: str, version: str | None) -> Served:
    """The version that is meant: the highest, where nobody says. Takes nobody's turn."""
    if version:
        return node.routing.find(caller.project, model, version)
    route = route_of(node, caller, model)
    return route.by_version[max(route.by_version)]


def route_of(node: Node, caller: Principal, model: str) -> Route:
    """The route of *model*."""
    route = node.routing.get(caller.project, model)
    if route is None:
        node.routing.find(caller.project, model)  # says why
        raise AssertionError("unreachable: what is not routed cannot be found")
    return route


def _versions(node: Node, caller: Principal, model: str) -> tuple[int, ...]:
    return tuple(sorted(route_of(node, caller, model).by_version))


def _counted(served: Served) -> ModelStatistics:
    stats: LaneStats = served.stats
    answered = stats.answered
    used = served.lane.cache.used if served.lane.cache is not None else Counter[str]()
    return ModelStatistics(
        name=served.model,
        version=str(served.version),
        last_inference=stats.last_ms,
        inference_count=stats.rows,
        execution_count=stats.batches,
        inference_stats=InferStatistics(
            success=Duration(answered, stats.success_ns),
            fail=Duration(stats.failed, stats.fail_ns),
            queue=Duration(answered, stats.queue_ns),
            compute_input=Duration(answered, stats.input_ns),
            compute_infer=Duration(answered, stats.compute_ns),
            compute_output=Duration(answered, stats.output_ns),
            cache_hit=Duration(used["hit"] + used["shared"], 0),
            cache_miss=Duration(used["stored"] + used["passed"], 0),
        ),
        batch_stats=batch_statistics(stats.sizes),
    )

"""From settings to processes: what each room is handed, in one place."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import forebay
from forebay.app.settings import PREFIX, Settings
from forebay.app.supervisor import Plan, claimed_port
from forebay.core.errors import Conflict, Unauthenticated

if TYPE_CHECKING:
    from forebay.serving.node import NodeConfig

ADMIN_KEY = "admin.key"
NODE_KEY = "node.key"


def plan_of(settings: Settings, *, with_hub: bool) -> Plan:
    """The processes of *settings* on ports that are free now; raises `Conflict` when one is taken."""
    settings = with_free_ports(settings, with_hub=with_hub)
    if with_hub:
        settings = replace(settings, url="", key="")
    parent = ("--parent", str(os.getpid()))
    return Plan(
        hub=own_command("hub", *parent) if with_hub else None,
        nodes=tuple(own_command("node", *parent, "--worker", str(i)) for i in range(settings.workers)),
        environ=environment_for(settings),
        hub_url=settings.hub_url,
        node_url=settings.node_url,
        grpc_url=settings.grpc_url,
        node_key=settings.home / NODE_KEY,
        drain_s=settings.drain_s,
        release=forebay.__version__,
    )


def with_free_ports(settings: Settings, *, with_hub: bool) -> Settings:
    """*settings* with its ports as they will be; raises `Conflict` for one that is taken."""
    asked = {"--port": settings.port, "--grpc-port": settings.grpc_port}
    if with_hub:
        asked["--hub-port"] = settings.hub_port
    found: dict[int, str] = {}
    for option, port in asked.items():
        free = claimed_port(settings.host, port, option)
        while free in found:
            if port:
                raise Conflict(f"{found[free]} and {option} are both {port}; choose another for one of them")
            free = claimed_port(settings.host, 0, option)
        found[free] = option
    ports = list(found)
    hub_port = ports[2] if with_hub else settings.hub_port
    return replace(settings, port=ports[0], grpc_port=ports[1], hub_port=hub_port)


def own_command(*arguments: str) -> tuple[str, ...]:
    """How to run the very Forebay that is running."""
    return (sys.executable, "-m", "forebay", *arguments)


def environment_for(settings: Settings) -> dict[str, str]:
    """The environment of a child that runs under *settings*."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return others | settings.environment()


def node_config(settings: Settings, worker: int = 0) -> NodeConfig:
    """What the node process *worker* is told; raises `Unauthenticated` when it has no key."""
    from forebay.serving.node import NodeConfig  # noqa: PLC0415 (a hub needs no node)
    from forebay.serving.runtime import Budget  # noqa: PLC0415
    from forebay.serving.runtime.machine import machine  # noqa: PLC0415

    here = machine()
    name = settings.node_name or _name_here(settings.port)
    return NodeConfig(
        folder=settings.home / "node",
        hub_url=settings.hub_url,
        key=settings.key or _node_key(settings),
        name=name if settings.workers == 1 else f"{name}.{worker}",
        host=settings.host,
        port=settings.port,
        grpc_port=settings.grpc_port,
        public_url=settings.node_url,
        worker=worker,
        workers=settings.workers,
        release=forebay.__version__,
        max_body_bytes=settings.max_body_bytes,
        max_header_bytes=settings.max_header_bytes,
        header_wait_s=settings.header_wait_s,
        body_wait_s=settings.body_wait_s,
        idle_wait_s=settings.idle_wait_s,
        request_wait_s=settings.request_wait_s,
        drain_s=settings.drain_s,
        batch_rows=settings.batch_rows,
        batch_wait_s=settings.batch_wait_s,
        queue_rows=settings.queue_rows,
        model_memory_bytes=settings.model_memory_bytes,
        connections=settings.connections,
        budget=Budget(
            threads=settings.threads or max(1, here.cores // settings.workers),
            spin=settings.spin,
            code=settings.allow_code,
            call_s=settings.hang_s,
            start_s=settings.code_start_s,
            memory_bytes=settings.code_memory_bytes or here.memory_bytes // 2,
        ),
        machine=str(here),
        journal_sync=settings.journal_sync,
        trace_endpoint=trace_endpoint(settings.otlp_endpoint, os.environ),
        trace_share=settings.trace_share,
        anonymous_key=settings.anonymous_key,
        default_model=settings.default_model,
        health_route=settings.health_route,
        predict_route=settings.predict_route,
    )


def trace_endpoint(ours: str, environ: Mapping[str, str]) -> str:
    """The URL that traces go to: our setting's, or that of OpenTelemetry's own variables; empty for none.

    >>> trace_endpoint("http://collector:4318", {})
    'http://collector:4318/v1/traces'
    >>> trace_endpoint("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/traces"})
    'http://c/traces'
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ""
    whole = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    if not ours and whole:
        return whole
    base = ours or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    return f"{base.rstrip('/')}/v1/traces" if base else ""


def _name_here(port: int) -> str:
    """This machine's name and the port, as a name that the hub accepts.

    >>> _name_here(8000).endswith("-8000")
    True
    """
    machine = re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower()).strip(".-") or "node"
    return f"{machine[:50]}-{port}"


def _node_key(settings: Settings) -> str:
    file = settings.home / NODE_KEY
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise Unauthenticated(
            f"this node has no key ({file}: {error.strerror}); set FOREBAY_KEY to a key of the role node: "
            "`forebay keys create --role node` on the hub's machine makes one"
        ) from error

"""Traces: what a request went through, told to an OpenTelemetry collector. Off unless an endpoint is set.

Spans are made when the answer is known, from the times that are measured anyway, so a request that is
not sampled costs one look at its headers, and none at all while nobody listens.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from random import random
from typing import TYPE_CHECKING, Any

from forebay.core.errors import ForebayError
from forebay.core.extras import need

if TYPE_CHECKING:
    from forebay.serving.engine import Outcome
    from forebay.serving.node.config import NodeConfig

_EXTRA = "telemetry"
_EXPORT_S = 5


class Tracing:
    """Tells a collector of requests: those whose caller is traced, and a share of the others."""

    def __init__(self, endpoint: str, share: float, resource: Mapping[str, str]) -> None:
        """*endpoint* is the URL that takes OTLP over HTTP; raises `Unsupported` without the extra.

        `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_BSP_…` hold.
        """
        self._api = need("opentelemetry.trace", _EXTRA)
        sdk = need("opentelemetry.sdk.trace", _EXTRA)
        resources = need("opentelemetry.sdk.resources", _EXTRA)
        otlp = need("opentelemetry.exporter.otlp.proto.http.trace_exporter", _EXTRA)
        export = need("opentelemetry.sdk.trace.export", _EXTRA)
        sampling = need("opentelemetry.sdk.trace.sampling", _EXTRA)
        propagation = need("opentelemetry.trace.propagation.tracecontext", _EXTRA)
        self._share = share
        self._nowhere = need("opentelemetry.context", _EXTRA).Context()
        self._propagator = propagation.TraceContextTextMapPropagator()
        told = resources.Resource(dict(resource)).merge(resources.OTELResourceDetector().detect())
        self._provider = sdk.TracerProvider(sampling.ALWAYS_ON, told, shutdown_on_exit=False)
        exporter = otlp.OTLPSpanExporter(endpoint, timeout=_EXPORT_S)
        self._provider.add_span_processor(export.BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("forebay")

    @classmethod
    def of(cls, config: NodeConfig) -> Tracing | None:
        """As *config* says; None while it names no endpoint."""
        if not config.trace_endpoint:
            return None
        resource = {
            "service.name": "forebay-node",
            "service.version": config.release,
            "service.instance.id": config.name,
        }
        return cls(config.trace_endpoint, config.trace_share, resource)

    def tell(
        self,
        name: str,
        headers: Mapping[bytes, bytes],
        began_s: float,
        attributes: Mapping[str, str | int],
        result: Outcome | ForebayError,
    ) -> str:
        """One request that began at *began_s* (monotonic) is answered now.

        Returns what the caller may know its trace by, in the form of a `traceparent`; empty if not sampled.
        """
        parent = self._parent(headers)
        if parent is None:
            return ""
        end_ns = time.time_ns()
        start_ns = end_ns - int((time.monotonic() - began_s) * 1e9)
        kind = self._api.SpanKind.SERVER
        span = self._tracer.start_span(name, parent, kind, attributes, start_time=start_ns)
        if isinstance(result, ForebayError):
            span.set_attribute("error.type", result.code)
            if result.status >= 500:
                span.set_status(self._api.StatusCode.ERROR, str(result))
        else:
            self._tell_parts(self._api.set_span_in_context(span, self._nowhere), start_ns, end_ns, result)
        span.end(end_ns)
        found = span.get_span_context()
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-01"

    def close(self) -> None:
        """Tell the rest. Blocking, for a thread."""
        self._provider.shutdown()

    def _tell_parts(self, inside: Any, start_ns: int, end_ns: int, outcome: Outcome) -> None:
        computed_ns = end_ns - outcome.compute_ns
        parts = (
            ("queue", computed_ns - outcome.queue_ns, computed_ns),
            ("compute", computed_ns, end_ns),
        )
        for name, from_ns, to_ns in parts:
            if from_ns < to_ns:
                part = self._tracer.start_span(name, inside, start_time=max(from_ns, start_ns))
                part.end(to_ns)

    def _parent(self, headers: Mapping[bytes, bytes]) -> Any:
        """The trace to go on with, or a new one; None where this request is not to be traced."""
        said = headers.get(b"traceparent")
        if said is not None:
            carrier = {
                "traceparent": said.decode("latin-1"),
                "tracestate": headers.get(b"tracestate", b"").decode("latin-1"),
            }
            context = self._propagator.extract(carrier, self._nowhere)
            parent = self._api.get_current_span(context).get_span_context()
            if parent.is_valid:
                return context if parent.trace_flags.sampled else None
        return self._nowhere if random() < self._share else None  # noqa: S311 (no secret: which ones are traced)

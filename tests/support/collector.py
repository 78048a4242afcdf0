"""What stands in for an OpenTelemetry collector: takes OTLP over HTTP on loopback and reads the messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Every span that was told, by name, and of whom."""

    def __init__(self) -> None:
        self.every: list[Any] = []
        self.spans: dict[str, Any] = {}
        self.resource: dict[str, str] = {}
        self.paths: set[str] = set()
        self.headers: dict[str, str] = {}
        self.url = ""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.paths.add(path)
        self.headers = headers
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource |= {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.every += scope.spans
                self.spans |= {span.name: span for span in scope.spans}


def attributes(span: Any) -> dict[str, str | int]:
    """What a span says."""
    return {each.key: each.value.string_value or int(each.value.int_value) for each in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server names it)
            """Nothing is written."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

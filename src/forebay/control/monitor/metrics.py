"""The hub's metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from forebay.core.errors import ForebayError

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Level:
    """A value that is looked up when the page is asked for.

    `read` gives one number by each value of `label`, or, without a label, one number under "".
    """

    name: str
    help: str
    read: Callable[[], Mapping[str, float]]
    label: str = ""


class HubMetrics:
    """Counts what the hub does. One for each application, so that two in a process do not mix."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, release: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        Info("forebay_hub", "Which release this is.", registry=self._registry).info({"release": release})
        self._requests = Counter(
            "forebay_hub_requests",
            "Requests answered, by route template, method and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "forebay_hub_request_seconds",
            "Time from the request's arrival to the end of its answer, by route template and method.",
            ("route", "method"),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._unread = Counter(
            "forebay_hub_unread_levels",
            "Levels that were left out of this page because their part did not answer.",
            ("level",),
            registry=self._registry,
        )

    def answered(self, route: str, method: str, status: int, elapsed_s: float) -> None:
        """Count one answered request; *route* is a template such as `/api/v1/nodes/{name}`."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(elapsed_s)

    def page(self, levels: Iterable[Level] = ()) -> bytes:
        """Everything, in Prometheus's text format; a level whose part is away is left out and counted."""
        looked_up = [metric for level in levels if (metric := self._look(level)) is not None]
        return generate_latest(_Page(self._registry, looked_up))

    def _look(self, level: Level) -> Metric | None:
        try:
            values = level.read()
        except ForebayError:
            self._unread.labels(level.name).inc()
            return None
        family = GaugeMetricFamily(level.name, level.help, labels=[level.label] if level.label else None)
        for value, number in values.items():
            family.add_metric([value] if level.label else [], number)
        return family


class _Page(Collector):
    """What has been counted, followed by what was looked up just now."""

    def __init__(self, counted: Collector, looked_up: list[Metric]) -> None:
        self._counted = counted
        self._looked_up = looked_up

    def collect(self) -> Iterator[Metric]:
        yield from self._counted.collect()
        yield from self._looked_up

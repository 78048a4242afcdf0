"""What Prometheus reads from a node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from forebay.serving.engine import Manager
from forebay.serving.engine.cache import Cache
from forebay.serving.engine.stats import Histogram, LaneStats

if TYPE_CHECKING:
    from forebay.serving.node.service import Node

_LABELS = ("project", "model", "version")
_COUNTERS = (
    ("answered", "Requests answered by the model."),
    ("failed", "Requests that the model or the queue failed."),
    ("expired", "Requests whose deadline passed while they waited."),
    ("left", "Requests whose caller hung up while they waited."),
    ("batches", "Calls of the model."),
    ("rows", "Rows computed."),
)
_HISTOGRAMS = (
    ("request", "request_seconds", "How long answered requests took, from their first byte to the answer."),
    ("queue", "queue_seconds", "How long requests waited for their batch."),
    ("compute", "compute_seconds", "How long the model took for a batch."),
    ("batch_rows", "batch_rows", "Rows in a batch."),
)


class NodeMetrics(Collector):
    """Reads the counters of a node when it is asked; nothing is counted twice."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def page(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: lanes come and go."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._of_the_node()
        yield from _of_the_manager(self._node.manager)
        lanes = [
            ((project, served.model, str(served.version)), served.lane)
            for project, served in self._node.versions.served()
        ]
        waiting = GaugeMetricFamily("forebay_waiting", "Requests that wait for a batch.", labels=_LABELS)
        for labels, lane in lanes:
            waiting.add_metric(labels, lane.waiting)
        yield waiting
        yield from _of_the_caches([(labels, lane.cache) for labels, lane in lanes if lane.cache is not None])
        yield from _of_the_lanes([(labels, lane.stats) for labels, lane in lanes])

    def _of_the_node(self) -> Iterator[Metric]:
        node = self._node
        yield _gauge("forebay_ready", "1 when every deployment answers.", float(node.ready))
        yield _gauge("forebay_snapshot_number", "The snapshot in force.", node.feed.current.number)
        yield _gauge("forebay_hub_connected", "1 while the hub is in reach.", float(node.feed.connected))
        yield _gauge("forebay_journal_behind", "Usage events not yet in the ledger.", node.journal.behind)
        yield _gauge("forebay_connections", "Open HTTP connections.", len(node.http.connections))
        peers = node.grpc.http2.connections
        yield _gauge("forebay_grpc_connections", "Open gRPC connections.", len(peers))
        answers = CounterMetricFamily("forebay_http_answers", "HTTP answers.", labels=("door", "status"))
        for (door, status), count in node.http.answers.items():
            answers.add_metric((door, str(status)), count)
        yield answers
        calls = CounterMetricFamily("forebay_grpc_answers", "gRPC answers.", labels=("method", "status"))
        for (method, code), count in node.grpc.answers.items():
            calls.add_metric((method, code), count)
        yield calls
        refused = CounterMetricFamily(
            "forebay_over_limit", "Calls that a limit has refused.", labels=("project", "limit")
        )
        for limit, count in node.limiter.refused.items():
            refused.add_metric((limit.project, limit.id), count)
        yield refused


def _of_the_manager(manager: Manager) -> Iterator[Metric]:
    yield _gauge("forebay_model_memory_budget_bytes", "What models may take together.", manager.budget_bytes)
    yield _gauge("forebay_model_memory_bytes", "What they take, as it was measured.", manager.loaded_bytes)
    versions = GaugeMetricFamily("forebay_versions", "Versions by state.", labels=("state",))
    for state, count in sorted(Counter(resident.state for resident in manager.residents).items()):
        versions.add_metric((state,), count)
    yield versions
    stats = manager.stats
    yield _counter("forebay_model_loads", "Versions loaded.", stats.loads)
    yield _counter("forebay_model_load_failures", "Loads that failed, or that had no room.", stats.failures)
    yield _counter("forebay_model_evictions", "Versions that made room for another one.", stats.evictions)
    seconds = HistogramMetricFamily(
        "forebay_model_load_seconds", "How long a load and its first answers took."
    )
    seconds.add_metric((), stats.load_s.cumulative(), stats.load_s.total)
    yield seconds


def _of_the_caches(caches: list[tuple[tuple[str, str, str], Cache]]) -> Iterator[Metric]:
    sizes = GaugeMetricFamily("forebay_cache_bytes", "Memory of the answers that are kept.", labels=_LABELS)
    asked = CounterMetricFamily(
        "forebay_cache", "Requests by what the cache did for them.", labels=(*_LABELS, "use")
    )
    for labels, cache in caches:
        sizes.add_metric(labels, cache.answers.size_bytes)
        for use, count in cache.used.items():
            asked.add_metric((*labels, use), count)
    yield sizes
    yield asked


def _of_the_lanes(lanes: list[tuple[tuple[str, str, str], LaneStats]]) -> Iterator[Metric]:
    for name, text in _COUNTERS:
        counter = CounterMetricFamily(f"forebay_{name}", text, labels=_LABELS)
        for labels, stats in lanes:
            counter.add_metric(labels, getattr(stats, name))
        yield counter
    for name, unit, text in _HISTOGRAMS:
        family = HistogramMetricFamily(f"forebay_{unit}", text, labels=_LABELS)
        for labels, stats in lanes:
            histogram: Histogram = getattr(stats, name)
            family.add_metric(labels, histogram.cumulative(), histogram.total)
        yield family


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)

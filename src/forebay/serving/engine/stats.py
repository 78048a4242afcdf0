"""What a lane counts. Plain integers, touched once a batch or once a request; read by whoever reports."""

from __future__ import annotations

import time
from bisect import bisect_left

LATENCY_BUCKETS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
LOAD_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Histogram:
    """Counts of observations at most as large as each bound; the last count is of all larger ones."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count *value*."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus wants it: upper bound and the count up to it, `+Inf` last."""
        rows, running = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            running += count
            rows.append((bound, float(running)))
        return rows


class LaneStats:
    """One version on one node, since it was loaded: everything here only grows.

    The `…_ns` are sums over requests: each request of a batch counts the batch's whole time, as the
    statistics of the Open Inference Protocol do. `sizes` has the same times once for each batch, by
    the batch's rows: executions, then the time to join the inputs, to compute, and to hand out.
    """

    __slots__ = (
        "answered",
        "batch_rows",
        "batches",
        "compute",
        "compute_ns",
        "expired",
        "fail_ns",
        "failed",
        "input_ns",
        "last_ms",
        "left",
        "output_ns",
        "queue",
        "queue_ns",
        "request",
        "rows",
        "sizes",
        "success_ns",
    )

    def __init__(self) -> None:
        self.answered = 0
        self.failed = 0
        self.expired = 0
        self.left = 0
        self.batches = 0
        self.rows = 0
        self.last_ms = 0
        self.success_ns = 0
        self.fail_ns = 0
        self.queue_ns = 0
        self.input_ns = 0
        self.compute_ns = 0
        self.output_ns = 0
        self.sizes: dict[int, list[int]] = {}
        self.queue = Histogram(LATENCY_BUCKETS_S)
        self.compute = Histogram(LATENCY_BUCKETS_S)
        self.request = Histogram(LATENCY_BUCKETS_S)
        self.batch_rows = Histogram(tuple(float(bound) for bound in BATCH_BUCKETS))

    def count_batch(
        self, requests: int, rows: int, queue_ns: int, input_ns: int, compute_ns: int, output_ns: int
    ) -> None:
        """One batch of *requests* with *rows* is answered; *queue_ns* is what all of them waited together."""
        self.batches += 1
        self.answered += requests
        self.rows += rows
        self.last_ms = time.time_ns() // 1_000_000
        self.queue_ns += queue_ns
        self.input_ns += requests * input_ns
        self.compute_ns += requests * compute_ns
        self.output_ns += requests * output_ns
        self.success_ns += queue_ns + requests * (input_ns + compute_ns + output_ns)
        self.compute.observe(compute_ns / 1e9)
        self.batch_rows.observe(rows)
        size = self.sizes.get(rows)
        if size is None:
            size = self.sizes[rows] = [0, 0, 0, 0]
        size[0] += 1
        size[1] += input_ns
        size[2] += compute_ns
        size[3] += output_ns

"""What a lane counts. Plain integers, touched once a batch or once a request; read by whoever reports."""

from __future__ import annotations

from bisect import bisect_left

LATENCY_BUCKETS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
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
    """One version on one node, since it was loaded."""

    __slots__ = ("answered", "batch_rows", "batches", "compute", "expired", "failed", "left", "queue", "rows")

    def __init__(self) -> None:
        self.answered = 0
        self.failed = 0
        self.expired = 0
        self.left = 0
        self.batches = 0
        self.rows = 0
        self.queue = Histogram(LATENCY_BUCKETS_S)
        self.compute = Histogram(LATENCY_BUCKETS_S)
        self.batch_rows = Histogram(tuple(float(bound) for bound in BATCH_BUCKETS))

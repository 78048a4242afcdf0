"""What the hub says of itself: counts, times and levels, for Prometheus.

The room promises names that do not change, a bounded number of series whatever callers send, and a page
that comes even while a part that it asks about is away.
"""

from forebay.control.monitor.metrics import HubMetrics, Level

__all__ = ["HubMetrics", "Level"]

"""What a training has tried, in the order of its success: read out of a version's evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_LESS_IS_BETTER = ("log_loss", "rmse", "mae", "pinball", "calibration_error")


def ranking(evidence: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The candidates that came through, the best first.

    >>> tried = [
    ...     {"estimator": "ridge", "mean": {"r2": 0.5}, "size_bytes": 300, "pareto": True},
    ...     {"estimator": "xgboost", "mean": {"r2": 0.6}, "size_bytes": 9000, "pareto": True},
    ... ]
    >>> told = {"kind": "cross-validation", "metric": "r2", "objectives": ["size"], "candidates": tried}
    >>> [(one["estimator"], one["r2"], one["size_bytes"], one["front"]) for one in ranking([told])]
    [('xgboost', 0.6, 9000, True), ('ridge', 0.5, 300, True)]
    """
    contest = next((entry for entry in evidence if entry.get("kind") == "cross-validation"), None)
    if contest is None:
        return []
    metric = str(contest["metric"])
    done = [
        one
        for one in contest.get("candidates", ())
        if one.get("state", "done") == "done" and metric in one["mean"]
    ]
    done.sort(key=lambda one: one["mean"][metric], reverse=metric not in _LESS_IS_BETTER)
    return [_line(one, metric, bool(contest.get("objectives"))) for one in done]


def _line(one: Mapping[str, Any], metric: str, weighed: bool) -> dict[str, Any]:
    line = {
        "estimator": one["estimator"],
        "params": one.get("params", {}),
        metric: one["mean"][metric],
        "seconds": one.get("seconds", 0.0),
    }
    if weighed:
        line |= {name: one.get(name) for name in ("latency_ms", "size_bytes")}
        line["front"] = bool(one.get("pareto"))
    return line

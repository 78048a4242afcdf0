"""The Pareto picture: how quick and how good each candidate is."""

from __future__ import annotations

from collections.abc import Collection
from math import log10

from forebay.workshop.compress.evidence import Evidence
from forebay.workshop.compress.keep import Finding
from forebay.workshop.compress.tried import Tried
from forebay.workshop.drawing import Frame, short


def picture(evidence: Evidence, front: Collection[tuple[str, ...]]) -> str:
    """An SVG: time for a row alone, as a share of the original's, against what the first promise bounds."""
    shown = [tried for tried in evidence.tried if tried.costs]
    if not shown:
        return ""
    points = {tried.recipe: _point(tried) for tried in shown}
    first = evidence.findings[0]
    level = first.bound
    values = [y for _, y in points.values()] + [level]
    spare = (max(values) - min(values)) * 0.08 or 0.5
    times = [x for x, _ in points.values()] + [0.0]
    frame = Frame(
        (min(times) - 0.05, max(times) + 0.05),
        (min(values) - spare, max(values) + spare),
        height=340,
        label_x="time for one row, as a power of ten of the original's",
        label_y=_what(first),
    )
    frame.line([(frame.x.low, level), (frame.x.high, level)], "ideal")
    frame.words(frame.x.low, level, f"the promise: {first.promise}")
    for recipe, point in points.items():
        frame.dots([point], "dot" if recipe in front else "dot faint", 5 if recipe in front else 3.5)
    taken = points[evidence.recipe]
    frame.dots([taken], "ring", 9)
    side = "tick" if taken[0] < (frame.x.low + frame.x.high) / 2 else "tick end"
    frame.words(*taken, f"   {' + '.join(evidence.recipe)}   ", side)
    return frame.svg(
        f"candidates: time against {_what(first)}, from {short(min(times))} to {short(max(times))}"
    )


def _point(tried: Tried) -> tuple[float, float]:
    return log10(max(1e-6, tried.ratio("p50_s", 1))), tried.findings[0].change


def _what(finding: Finding) -> str:
    return finding.subject if finding.kind == "figure" else f"change of {finding.subject}"

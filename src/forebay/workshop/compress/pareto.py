"""The Pareto picture: how quick and how good each candidate is."""

from __future__ import annotations

from collections.abc import Collection

from forebay.workshop.compress.evidence import Evidence
from forebay.workshop.compress.keep import Finding
from forebay.workshop.compress.tried import Tried
from forebay.workshop.drawing import Frame


def picture(evidence: Evidence, front: Collection[tuple[str, ...]]) -> str:
    """An SVG: gain in time for a row alone against what the first promise bounds."""
    found = {tried.recipe: _point(tried) for tried in evidence.tried if tried.costs}
    points = {recipe: point for recipe, point in found.items() if point is not None}
    if not points:
        return ""
    first = evidence.findings[0]
    level = first.bound
    values = [y for _, y in points.values()] + [level]
    spare = (max(values) - min(values)) * 0.08 or 0.5
    gains = [x for x, _ in points.values()] + [1.0]
    frame = Frame(
        (0.0, max(gains) * 1.05),
        (min(values) - spare, max(values) + spare),
        height=320,
        label_x="times as quick as the original, for one row",
        label_y=_what(first),
    )
    frame.line([(frame.x.low, level), (frame.x.high, level)], "ideal")
    frame.words(frame.x.high, level + spare * 0.2, f"promised: {first.promise}", "tick end")
    for recipe, point in points.items():
        frame.dots([point], "dot" if recipe in front else "dot faint", 5 if recipe in front else 3.5)
    if evidence.recipe in points:
        x, y = points[evidence.recipe]
        frame.dots([(x, y)], "ring", 9)
        right = x < frame.x.high / 2
        beside = x + (0.03 if right else -0.03) * frame.x.high
        frame.words(beside, y + spare * 0.3, " + ".join(evidence.recipe), "name" if right else "name end")
    return frame.svg(f"{len(points)} candidates: gain in time against {_what(first)}")


def _point(tried: Tried) -> tuple[float, float] | None:
    change = tried.findings[0].change
    return None if change is None else (1 / max(1e-6, tried.ratio("p50_s", 1)), change)


def _what(finding: Finding) -> str:
    return finding.subject if finding.kind == "figure" else f"change of {finding.subject}"

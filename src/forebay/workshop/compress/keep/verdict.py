"""Whether promises are kept, as far as so many rows can tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

import msgspec
import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.workshop.compress.keep.chance import Interval, paired_interval, resampled, share_interval
from forebay.workshop.compress.keep.language import Promise
from forebay.workshop.compress.keep.metrics import METRICS
from forebay.workshop.compress.keep.sight import Sight
from forebay.workshop.compress.keep.unseen import FEW, differing, spoiled

_FEWEST_DRAWN = 100  # below, drawing again tells nothing new
_SLACK = 1e-9
_MINUS = "\N{MINUS SIGN}"
_UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What can be said of a promise."""

    KEPT = "kept"
    """The whole interval of 95 % is within the bound."""
    UNPROVEN = "unproven"
    """The figure is within the bound, and chance could still have made it so."""
    BROKEN = "broken"
    """The figure itself is beyond the bound."""


class Kind(StrEnum):
    """What a promise bounds."""

    FIGURE = "figure"
    CHANGE = "change"
    RELATIVE = "relative"


class Finding(msgspec.Struct, frozen=True):
    """One promise, measured. All figures as they are shown: shares in points.

    `change` is what the promise bounds, as `kind` says: the difference, that in hundredths of `before`, or
    `after` itself; `bound` is what it may be, at least where `larger` is better. `low` and `high` are its
    interval. None is what cannot be computed, or has no bound: JSON knows neither NaN nor infinity.
    """

    promise: str
    subject: str
    kind: Kind
    bound: float
    larger: bool
    before: float
    after: float | None
    change: float | None
    low: float | None
    high: float | None
    rows: int
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """The figures, and what they are worth."""
        kept = {
            Verdict.KEPT: "promise kept",
            Verdict.UNPROVEN: f"not enough data to promise {self.promise} ({self.rows} rows)",
            Verdict.BROKEN: f"promise {self.promise} broken",
        }
        return f"{self.figures}; {kept[self.verdict]}"

    @property
    def figures(self) -> str:
        """The figures alone."""
        if self.kind is Kind.FIGURE:
            return (
                f"{self.subject} {plain(self.after)} (95 % interval {plain(self.low)} to {plain(self.high)})"
            )
        unit = " %" if self.kind is Kind.RELATIVE else ""
        return (
            f"{self.subject} {plain(self.before)} → {plain(self.after)} ({signed(self.change)}{unit}, "
            f"95 % interval {signed(self.low)} to {signed(self.high)})"
        )


def judge(promises: Sequence[Promise], sight: Sight, rows: int | None = None) -> tuple[Finding, ...]:
    """Measure every promise. With *rows*, as if there were so many rows like these: what they could prove.

    Raises `Malformed` where a promise speaks of what the data or the answers do not have.
    """
    return tuple(_finding(promise, sight, rows) for promise in promises)


def margin(findings: Sequence[Finding]) -> float:
    """How far the nearest promise is from being unproven, in its own unit; negative where one is."""
    return min(map(_margin, findings))


def _margin(finding: Finding) -> float:
    edge = finding.low if finding.larger else finding.high
    if edge is None:
        return -math.inf
    return edge - finding.bound if finding.larger else finding.bound - edge


def standing(findings: Sequence[Finding]) -> Verdict:
    """All together: broken when one is, kept when all are."""
    verdicts = {finding.verdict for finding in findings}
    for verdict in (Verdict.BROKEN, Verdict.UNPROVEN):
        if verdict in verdicts:
            return verdict
    return Verdict.KEPT


def _finding(promise: Promise, sight: Sight, rows: int | None) -> Finding:
    metric = promise.about
    metric.check(sight)
    seen = restricted(promise, sight)
    expected = len(seen) if rows is None else max(1, round(len(seen) * rows / max(1, len(sight))))
    before, after = metric.figure(seen.before), metric.figure(seen)
    if not math.isfinite(before):
        raise Malformed(f"{promise.subject} cannot be computed on this data, not even for the original")
    change = _change(promise, before, after)
    interval = _interval(promise, seen, expected)
    scale = metric.scale
    shown = 100.0 if promise.relative else scale
    return Finding(
        promise=str(promise),
        subject=promise.subject,
        kind=_kind(promise),
        bound=promise.bound,
        larger=metric.larger,
        before=before * scale,
        after=_known(after * scale),
        change=_known(change * shown),
        low=_known(interval.low * shown),
        high=_known(interval.high * shown),
        rows=expected,
        verdict=_verdict(promise, change * shown, Interval(interval.low * shown, interval.high * shown)),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _kind(promise: Promise) -> Kind:
    if promise.relative:
        return Kind.RELATIVE
    return Kind.CHANGE if promise.change else Kind.FIGURE


def _verdict(promise: Promise, change: float, interval: Interval) -> Verdict:
    """No comparison is true of a NaN, so that what cannot be computed is broken."""
    bound = promise.bound
    larger = promise.about.larger
    inside = change >= bound - _SLACK if larger else change <= bound + _SLACK
    if not inside:
        return Verdict.BROKEN
    proved = interval.low >= bound - _SLACK if larger else interval.high <= bound + _SLACK
    return Verdict.KEPT if proved else Verdict.UNPROVEN


def _change(promise: Promise, before: float, after: float) -> float:
    if not promise.change:
        return after
    difference = after - before
    if not promise.relative:
        return difference
    return (
        difference / abs(before)
        if before
        else (0.0 if difference == 0 else math.copysign(math.inf, difference))
    )


def restricted(promise: Promise, sight: Sight) -> Sight:
    """Only the rows that *promise* speaks of; raises `Malformed` when there are none."""
    if promise.where is None:
        return sight
    name, value = promise.where
    if name == "class":
        return _of_class(promise, sight, value)
    if name not in sight.slices:
        there = f"there are {sorted(sight.slices)}" if sight.slices else "none were given"
        raise Malformed(f"{promise.subject} speaks of the slice {name!r}; {there}")
    rows = np.flatnonzero(sight.slices[name].astype(str) == value)
    if not len(rows):
        some = sorted(set(sight.slices[name].astype(str)))[:8]
        raise Malformed(f"no row has {name}={value}; there are {', '.join(some)}")
    return sight.take(rows)


def _of_class(promise: Promise, sight: Sight, value: str) -> Sight:
    kinds = sight.kinds
    rows = np.flatnonzero(kinds == value)
    if not len(rows):
        some = ", ".join(str(kind) for kind in np.unique(kinds)[:8])
        raise Malformed(f"no row is of class {value!r}; there are {some}")
    if promise.metric == "recall" or promise.about.hits is not None:
        return sight.take(rows)
    return replace(sight, focus=value)


def _interval(promise: Promise, sight: Sight, rows: int) -> Interval:
    metric = promise.about
    of_class = promise.where is not None and promise.where[0] == "class"
    hits = METRICS["accuracy"].hits if promise.metric == "recall" and of_class else metric.hits
    if hits is not None and metric.points and not promise.relative:
        return _of_hits(promise, hits(sight), hits(sight.before), rows)
    if rows < _FEWEST_DRAWN:
        return Interval(-math.inf, math.inf)

    if metric.needs == "labels":
        sight = sight.coded

    def drawn(spoil: Callable[[Sight, np.random.Generator], Sight]) -> Interval:
        def figure(places: Array, draw: np.random.Generator) -> float:
            seen = sight.take(places)
            return _change(promise, metric.figure(seen.before), metric.figure(spoil(seen, draw)))

        return resampled(figure, len(sight), rows)

    plain = drawn(lambda seen, _draw: seen)
    if not metric.points and differing(sight) >= FEW:
        return plain
    worse = drawn(spoiled)
    return Interval(min(plain.low, worse.low), max(plain.high, worse.high))


def _of_hits(promise: Promise, after: Array, before: Array, rows: int) -> Interval:
    share = rows / len(after)
    if not promise.change:
        return share_interval(float(after.sum()) * share, rows)
    lost, gained = float(np.sum(before > after)), float(np.sum(after > before))
    return paired_interval(lost * share, gained * share, rows)


def plain(value: float | None) -> str:
    """Four digits, as people write them."""
    if value is None:
        return _UNKNOWN
    return f"{value:.4g}".replace("-", _MINUS)


def signed(value: float | None) -> str:
    """With its sign, as people write it.

    >>> [text.replace(chr(0x2212), "minus ") for text in (signed(-0.23), signed(0.0), signed(1.5))]
    ['minus 0.2', '0.0', '+1.5']
    """
    if value is None:
        return _UNKNOWN
    digits = 1 if abs(value) >= 0.1 or value == 0 else 3
    text = f"{value:+.{digits}f}"
    return (text[1:] if float(text) == 0 else text).replace("-", _MINUS)

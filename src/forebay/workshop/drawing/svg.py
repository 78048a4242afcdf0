"""A few strokes: axes, bars, lines and dots as SVG, in the page's own colours and type."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

_WIDTH = 520


class Span(NamedTuple):
    """Values from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where *value* is drawn."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 2)


class Frame:
    """A drawing with two axes; what is added later lies above."""

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        height: int = 300,
        label_x: str = "",
        label_y: str = "",
    ) -> None:
        self.height = height
        self.x = Span(*_wider(x), 56, _WIDTH - 14)
        self.y = Span(*_wider(y), height - 44, 14)
        self._parts: list[str] = []
        self._axes(label_x, label_y)

    def _axes(self, label_x: str, label_y: str) -> None:
        left, under = self.x.start - 8, self.y.start + 18
        for value in ticks(self.y.low, self.y.high):
            self.line([(self.x.low, value), (self.x.high, value)], "grid")
            self._parts.append(
                f'<text x="{left}" y="{self.y.at(value) + 4}" class="tick end">{short(value)}</text>'
            )
        for value in ticks(self.x.low, self.x.high):
            self._parts.append(
                f'<text x="{self.x.at(value)}" y="{under}" class="tick mid">{short(value)}</text>'
            )
        middle = (self.x.start + self.x.end) / 2
        self._parts.append(
            f'<text x="{middle}" y="{self.height - 6}" class="label mid">{escape(label_x)}</text>'
        )
        centre = (self.y.start + self.y.end) / 2
        turned = f'transform="rotate(-90 12 {centre})"'
        self._parts.append(f'<text x="12" y="{centre}" class="label mid" {turned}>{escape(label_y)}</text>')

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Points joined; *kind* is a class of the page's style."""
        path = " ".join(f"{self.x.at(x)},{self.y.at(y)}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" class="{kind}"/>')

    def area(
        self, lower: Sequence[tuple[float, float]], upper: Sequence[tuple[float, float]], kind: str
    ) -> None:
        """Everything between two lines."""
        path = " ".join(f"{self.x.at(x)},{self.y.at(y)}" for x, y in [*lower, *reversed(upper)])
        self._parts.append(f'<polygon points="{path}" class="{kind}"/>')

    def dots(self, points: Sequence[tuple[float, float]], kind: str, radius: float = 3.0) -> None:
        """A dot for each point."""
        for x, y in points:
            self._parts.append(
                f'<circle cx="{self.x.at(x)}" cy="{self.y.at(y)}" r="{radius}" class="{kind}"/>'
            )

    def bar(self, x: tuple[float, float], value: float, kind: str) -> None:
        """A bar from zero (or the axis) up to *value*."""
        left, right = self.x.at(x[0]), self.x.at(x[1])
        base, top = self.y.at(max(self.y.low, 0.0)), self.y.at(value)
        size = f'width="{max(0.5, round(right - left - 1, 2))}" height="{round(abs(base - top), 2)}"'
        self._parts.append(f'<rect x="{left}" y="{min(base, top)}" {size} class="{kind}"/>')

    def words(self, x: float, y: float, text: str, kind: str = "tick") -> None:
        """Text at a point."""
        self._parts.append(
            f'<text x="{self.x.at(x)}" y="{self.y.at(y)}" class="{kind}">{escape(text)}</text>'
        )

    def svg(self, title: str) -> str:
        """The drawing."""
        return drawing(_WIDTH, self.height, self._parts, title)


def drawing(width: float, height: float, parts: Sequence[str], title: str) -> str:
    """An SVG of *parts*, with a *title* for those who cannot see it."""
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"


def ranked(
    rows: Sequence[tuple[str, float, str]], title: str, *, marked: str = "", most: float | None = None
) -> str:
    """Horizontal bars, a line each: its name, its value, and the value as it is written."""
    step, left = 26, 196
    high = most or max((value for _, value, _ in rows), default=1.0) or 1.0
    low = min(0.0, *(value for _, value, _ in rows)) if rows else 0.0
    span = Span(low, high, left, _WIDTH - 70)
    parts = []
    for place, (name, value, told) in enumerate(rows):
        y = place * step
        zero, end = span.at(0.0), span.at(value)
        kind = "bar strong" if name == marked else "bar"
        parts.append(f'<text x="{left - 10}" y="{y + 17}" class="name end">{escape(_cut(name))}</text>')
        size = f'width="{max(1.0, round(abs(end - zero), 2))}" height="14"'
        parts.append(f'<rect x="{min(zero, end)}" y="{y + 6}" rx="2" {size} class="{kind}"/>')
        parts.append(f'<text x="{max(zero, end) + 8}" y="{y + 17}" class="tick">{escape(told)}</text>')
    return drawing(_WIDTH, max(1, len(rows)) * step + 4, parts, title)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between *low* and *high*.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high <= low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    return [
        round(count * step, 12) for count in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)
    ]


def short(value: float) -> str:
    """A number in few signs.

    >>> short(0.25), short(12500.0), short(3.0), short(2.5e6)
    ('0.25', '12.5k', '3', '2.5M')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g}{unit}"
    return f"{value:.4g}"


def _wider(span: tuple[float, float]) -> tuple[float, float]:
    low, high = span
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _cut(name: str) -> str:
    return name if len(name) <= 25 else f"{name[:24]}…"

"""Axes, lines, dots and the style of every report's page, for all who draw. Knows no model."""

from importlib.resources import files

from forebay.workshop.drawing.svg import Frame, Span, drawing, ranked, short, ticks

__all__ = ["Frame", "Span", "drawing", "ranked", "short", "style", "ticks"]


def style() -> str:
    """The style sheet of a report, light and dark."""
    return files("forebay.workshop.drawing").joinpath("style.css").read_text("utf-8")

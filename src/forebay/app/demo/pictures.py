"""Small pictures made of characters: a grey image, and bars for probabilities."""

from __future__ import annotations

import numpy as np
from rich.style import Style
from rich.text import Text

from forebay.core import Array

_SHADES = " ░▒▓█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_INK = (0x8F, 0xD3, 0xFF)
_PAPER = (0x10, 0x18, 0x24)


def image(values: Array, brightest: float) -> list[Text]:
    """A grey image of shape [height, width], twice as large, two pixels a character (`▀` in two colours)."""
    large = _doubled(np.clip(np.asarray(values, dtype=np.float64) / brightest, 0.0, 1.0))
    lines = []
    for upper, lower in zip(large[0::2], large[1::2], strict=True):
        line = Text()
        for top, bottom in zip(upper, lower, strict=True):
            line.append("▀", Style(color=_colour(top), bgcolor=_colour(bottom)))
        lines.append(line)
    return lines


def shades(values: Array, brightest: float) -> list[str]:
    """The same for terminals without colours: one pixel is two characters of one of five shades.

    >>> import numpy as np
    >>> shades(np.array([[0, 8, 16]]), 16)
    ['  ▒▒██']
    """
    top = len(_SHADES) - 1
    return ["".join(_SHADES[round(float(v) / brightest * top)] * 2 for v in row) for row in values]


def bar(share: float, width: int) -> str:
    """A bar for a *share* between 0 and 1, exact to an eighth of a character, padded to *width*.

    >>> bar(0.5, 4), bar(0.28125, 4)
    ('██  ', '█▏  ')
    """
    whole, eighths = divmod(round(max(0.0, min(1.0, share)) * width * 8), 8)
    return ("█" * whole + (_EIGHTHS[eighths] if eighths else "")).ljust(width)


def _doubled(grey: Array) -> Array:
    """Twice the size, the new pixels halfway between their neighbours, so that edges are smooth."""
    for axis in (0, 1):
        length = grey.shape[axis]
        places = (np.arange(2 * length) - 0.5) / 2
        left = np.clip(np.floor(places).astype(int), 0, length - 1)
        right = np.clip(left + 1, 0, length - 1)
        part = np.expand_dims(np.clip(places - left, 0.0, 1.0), 1 - axis)
        grey = np.take(grey, left, axis) * (1 - part) + np.take(grey, right, axis) * part
    return grey


def _colour(grey: float) -> str:
    mixed = (round(p + (i - p) * float(grey)) for p, i in zip(_PAPER, _INK, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)

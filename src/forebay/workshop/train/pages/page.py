"""A report as a page: numbers first, then pictures, then where all of it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple

from forebay.workshop.drawing import style
from forebay.workshop.train.pages.figures import tile

_COLUMNS_SHOWN = 40


class Picture(NamedTuple):
    """An SVG with its heading and a sentence that says how to read it; `legend` names its lines."""

    heading: str
    note: str
    svg: str
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Page:
    """Everything that a report shows. `tiles` are (value, name, what stands under it)."""

    title: str
    lead: str
    tiles: Sequence[tuple[float, str, str]]
    pictures: Sequence[Picture]
    minded: Sequence[str] = ()
    left_out: Sequence[str] = ()
    columns: Sequence[tuple[str, str, int, int]] = ()
    lineage: dict[str, Any] = field(default_factory=dict)

    def html(self) -> str:
        """One document, complete in itself."""
        sections = [*map(_figure, self.pictures), self._data(), self._origin()]
        tiles = "".join(tile(*one) for one in self.tiles)
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{style()}</style></head><body><main>"
            f'<h1>{escape(self.title)}</h1><p class="lead">{escape(self.lead)}</p>'
            f'<div class="tiles">{tiles}</div><div class="cards">{"".join(sections)}</div>'
            f"<footer>Made by Forebay {escape(str(self.lineage.get('code', {}).get('forebay', '')))}</footer>"
            "</main></body></html>"
        )

    def _data(self) -> str:
        data = self.lineage.get("data", {})
        rows = f"{data.get('rows', 0):,} rows from {_origin_of(data)}"
        split = f"{data.get('rows_train', 0):,} to learn from, {data.get('rows_held_out', 0):,} held out"
        minded = "".join(f"<li>{escape(told)}</li>" for told in self.minded)
        left = "".join(f"<li>left out: {escape(told)}</li>" for told in self.left_out)
        told = (
            f'<ul class="mind">{minded}{left}</ul>' if minded or left else "<p>Nothing in it looks wrong.</p>"
        )
        return (
            f"<section class='wide'><h2>The data</h2><p class='note'>{escape(rows)}: {escape(split)} "
            f"({escape(str(data.get('split', 'random')))} split)</p>{told}{self._columns()}</section>"
        )

    def _columns(self) -> str:
        if not self.columns:
            return ""
        lines = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(kind)}</td><td class='number'>{missing:,}</td>"
            f"<td class='number'>{distinct:,}</td></tr>"
            for name, kind, missing, distinct in self.columns[:_COLUMNS_SHOWN]
        )
        more = len(self.columns) - _COLUMNS_SHOWN
        rest = f"<p class='note'>… and {more} more</p>" if more > 0 else ""
        return (
            "<div class='scroll columns'><table><tr><th>column</th><th>kind</th>"
            "<th class='number'>missing</th><th class='number'>different</th></tr>"
            f"{lines}</table></div>{rest}"
        )

    def _origin(self) -> str:
        lines = "".join(
            f"<tr><th>{escape(name)}</th><td>{value}</td></tr>" for name, value in _told(self.lineage)
        )
        return (
            "<section class='wide'><h2>Where it comes from</h2><p class='note'>Enough to make it again, and "
            f"to know what changed when it comes out otherwise.</p><table>{lines}</table></section>"
        )


def _origin_of(data: dict[str, Any]) -> str:
    where = str(data.get("origin", ""))
    return "a data frame" if where == "frame" else where


def _figure(picture: Picture) -> str:
    legend = "".join(
        f'<i style="background:var({colour})"></i>{escape(name)}' for name, colour in picture.legend
    )
    under = f'<p class="legend">{legend}</p>' if legend else ""
    return (
        f"<section><h2>{escape(picture.heading)}</h2><p class='note'>{escape(picture.note)}</p>"
        f"{picture.svg}{under}</section>"
    )


def _told(lineage: dict[str, Any]) -> list[tuple[str, str]]:
    """What makes the model. The lineage alone says when and where: the same model has the same page."""
    code = lineage.get("code", {})
    packages = ", ".join(
        f"{name} {release}" for name, release in code.items() if name not in ("sha256", "forebay")
    )
    parts = lineage.get("estimator", {}).get("parts", [])
    shown = [_part(part, alone=len(parts) == 1) for part in parts]
    return [
        ("model", "<br>".join(shown)),
        ("data", f"<code>sha256:{escape(str(lineage.get('data', {}).get('sha256', '')))}</code>"),
        (
            "code",
            f"Forebay {escape(str(code.get('forebay')))} {_code('sha256:' + str(code.get('sha256', '')))}",
        ),
        ("packages", escape(packages)),
        ("seed", escape(str(lineage.get("recipe", {}).get("seed", "")))),
    ]


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _part(part: dict[str, Any], *, alone: bool) -> str:
    weight = "" if alone else f"{part.get('weight', 1.0):.2f} x "
    params = part.get("params", {})
    told = _code(", ".join(f"{name} {value}" for name, value in params.items()))
    return f"{weight}{escape(part['estimator'])}{': ' + told if params else ', as it is'}"

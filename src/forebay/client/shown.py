"""How answers look in a notebook: small tables, and nothing to install for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_SHORT = 60


class Listing(list[T]):
    """A list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        rows = [fields_of(item) for item in self]
        names = list(dict.fromkeys(name for row in rows for name in row))
        return html_table(names, [[row.get(name, "") for name in names] for row in rows])


class Shown(msgspec.Struct, frozen=True):
    """A result whose fields a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return html_table((), [[name, value] for name, value in fields_of(self).items()])


def fields_of(item: object) -> dict[str, Any]:
    """The fields of *item* that are worth a look: not empty."""
    if isinstance(item, msgspec.Struct):
        pairs = ((name, getattr(item, name)) for name in item.__struct_fields__)
        return {name: value for name, value in pairs if value not in (None, "", [], {}, ())}
    return dict(item) if isinstance(item, Mapping) else {"value": item}


def html_table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A plain table; every cell is escaped.

    >>> html_table(["a"], [["<b>"]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text_of(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def text_of(value: object) -> str:
    """*value* in one line for people.

    >>> text_of(0.123456789), text_of(["champion", "live"]), text_of({"a": 1})
    ('0.1235', 'champion, live', 'a=1')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Mapping):
        return ", ".join(_pair(name, inner) for name, inner in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(text_of(inner) for inner in value)
    return str(value)


def moment_text(when: datetime | str | None) -> str | None:
    """A moment as the hub reads it: with its zone, which is this machine's for a naive one."""
    if isinstance(when, datetime):
        return (when.astimezone() if when.tzinfo is None else when).isoformat()
    return when


def gist_of(values: Mapping[str, Any]) -> str:
    """What fits a line: the short values and the small mappings of them, `…` for what was left out.

    >>> gist_of({"rows": 30, "metrics": {"accuracy": 0.97}, "sha256": "0" * 64, "none": None})
    'rows=30, metrics (accuracy=0.97) …'
    """
    told = {name: value for name, value in values.items() if value not in (None, "", [], {}, ())}
    short = {name: value for name, value in told.items() if _is_short(value)}
    return text_of(short) + (" …" if len(short) < len(told) else "")


def _pair(name: str, value: object) -> str:
    return f"{name} ({text_of(value)})" if isinstance(value, Mapping) else f"{name}={text_of(value)}"


def _is_short(value: object) -> bool:
    if isinstance(value, Mapping):
        few = 6
        return len(value) <= few and all(
            _is_short(inner) and not isinstance(inner, Mapping) for inner in value.values()
        )
    if isinstance(value, list | tuple):
        return False
    return len(text_of(value)) <= _SHORT


def bytes_text(size_bytes: int) -> str:
    """A size for people, in powers of ten.

    >>> bytes_text(512), bytes_text(81_920), bytes_text(3_400_000)
    ('512 B', '81.9 kB', '3.4 MB')
    """
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"

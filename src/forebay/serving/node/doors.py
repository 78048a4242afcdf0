"""Every way into a node: one table. A path that is not in it does not exist."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from forebay.core import Permission
from forebay.core.errors import ForebayError, Malformed, NotFound, Refused
from forebay.serving.node.exchange import JSON

if TYPE_CHECKING:
    from forebay.serving.node.exchange import Exchange
    from forebay.serving.node.service import Node

_REMEMBERED = 8192


class WrongMethod(Refused):
    """The path exists, but not with this method."""

    status = 405
    title = "Method not allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class Refusal(NamedTuple):
    """An error as a protocol says it; `headers` are whole lines, each with its CRLF."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: bytes = b""


@dataclass(frozen=True, slots=True)
class Door:
    """One way in. `permission` None means that nobody has to show a key: only health does that.

    `path` may hold `{model}` and `{version}`, each a segment or the beginning of one that goes on with `:`.
    `refuse` writes an error in the door's own shape. `protocol` is one of `core.PROTOCOLS`; without one, no
    key that is narrowed to protocols may pass.
    """

    method: str
    path: str
    permission: Permission | None
    answer: Callable[[Node, Exchange], None]
    refuse: Callable[[ForebayError], Refusal]
    protocol: str = ""


class Found(NamedTuple):
    """A door, and what the path says."""

    door: Door
    model: str
    version: str | None


class Doors:
    """Finds the door for a request; remembers paths, for callers ask the same ones again and again."""

    def __init__(self, doors: Iterable[Door]) -> None:
        self._doors: dict[int, list[Door]] = defaultdict(list)
        for door in doors:
            self._doors[len(_split(door.path))].append(door)
        self._known: dict[tuple[bytes, bytes], Found] = {}

    def find(self, method: bytes, target: bytes) -> Found:
        """The door for *method* and *target*; raises `NotFound`, `WrongMethod`, `Malformed`."""
        found = self._known.get((method, target))
        if found is None:
            found = self._search(method.decode("latin-1"), target)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[method, target] = found
        return found

    def _search(self, method: str, target: bytes) -> Found:
        segments = _segments(target)
        near = self._doors.get(len(segments), ())
        there = [(door, said) for door in near if (said := _match(door.path, segments)) is not None]
        if not there:
            raise NotFound(
                "Not Found: there is no such path here; POST /predict/MODEL or /v2/models/MODEL/infer"
            )
        for door, said in there:
            if method in (door.method, "HEAD" if door.method == "GET" else door.method):
                return Found(door, said.get("model", ""), said.get("version"))
        allowed = ", ".join(sorted({door.method for door, _ in there}))
        raise WrongMethod(f"Method Not Allowed: this path takes {allowed}", allowed)


def _segments(target: bytes) -> list[str]:
    path = target.partition(b"?")[0]
    if path.startswith((b"http://", b"https://")):  # absolute form, as proxies send it
        path = b"/" + path.split(b"/", 3)[3] if path.count(b"/") > 2 else b"/"
    try:
        return [unquote(part, errors="strict") for part in _split(path.decode("ascii"))]
    except UnicodeError:
        raise Malformed("the path is not valid UTF-8") from None


def _split(path: str) -> list[str]:
    return path.strip("/").split("/")


def _match(pattern: str, segments: list[str]) -> dict[str, str] | None:
    said: dict[str, str] = {}
    for part, segment in zip(_split(pattern), segments, strict=True):
        if part.startswith("{"):
            name, _, behind = part[1:].partition("}")
            if not segment.endswith(behind) or (":" in segment and not behind):
                return None
            said[name] = segment.removesuffix(behind)
        elif part != segment:
            return None
    return said

"""JSON in: a whole document through simdjson, and through Python's reader where simdjson gives up.

simdjson hands out views into its parser, which can only read the next document once they are all
gone. So a document is read inside one function, and only plain values may leave it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

import simdjson

from forebay.core.errors import Malformed

T = TypeVar("T")

LISTS: tuple[Any, ...] = (list, simdjson.Array)
OBJECTS: tuple[Any, ...] = (dict, simdjson.Object)
_IDLE: list[simdjson.Parser] = []
_IDLE_MOST = 8
_KEPT_BYTES = 1 << 20
_TOO_DEEP = "the JSON is nested too deeply; send flat arrays"


def read_document(body: bytes, read: Callable[[Any], T]) -> T:
    """What *read* makes of the JSON document *body*; raises `Malformed`.

    Objects and lists may come as `OBJECTS` and `LISTS`; *read* must not return any of them as it is.
    """
    try:
        parser = _IDLE.pop()
    except IndexError:
        parser = simdjson.Parser()
    try:
        document = parser.parse(body)
    except (ValueError, RuntimeError) as error:
        document = _read_slowly(body, error)
    result = read(document)
    del document
    # A parser keeps its buffers, several times the largest document it has read.
    if len(body) <= _KEPT_BYTES and len(_IDLE) < _IDLE_MOST:
        _IDLE.append(parser)
    return result


def _read_slowly(body: bytes, error: Exception) -> Any:
    """NaN, Infinity and whole numbers beyond 64 bits are no JSON to simdjson, and daily bread to clients."""
    if str(error).startswith("DEPTH_ERROR"):
        raise Malformed(_TOO_DEEP) from error
    number_refused = str(error).startswith("NUMBER_ERROR")  # -Infinity, or one that FP64 cannot hold
    try:
        text = body.decode()
        document = json.loads(text, parse_float=_finite if number_refused else None)
        if "\\ud" in text or "\\uD" in text:  # half of a surrogate pair cannot be written as UTF-8 later
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError as deep:
        raise Malformed(_TOO_DEEP) from deep
    except ValueError as why:
        raise Malformed(f"the body is no JSON: {why}") from why
    return document


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:40]} is beyond the range of FP64")
    return number


def plain(value: Any) -> Any:
    """*value* free of the parser's memory."""
    if isinstance(value, simdjson.Object):
        return value.as_dict()
    if isinstance(value, simdjson.Array):
        return value.as_list()
    return value

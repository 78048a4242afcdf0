"""Predictions: the only calls that go to a node."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import orjson

from forebay.client.door import Door
from forebay.client.predictions import Predictions
from forebay.client.rows import Rows
from forebay.core.errors import Malformed, Unauthenticated

_ROWS_A_CALL = 1024
_KEY_ARRIVES_S = 2.0


class _Answer(msgspec.Struct):
    model: str
    version: int
    rows: list[dict[str, Any]]


def predict(door: Door, path: str, rows: Rows) -> Predictions:
    """Ask the node behind *door*; many rows go as several calls (1,024 each), one after the other."""
    answers = [door.ask("POST", path, _Answer, json=body) for body in rows.bodies(_ROWS_A_CALL)]
    found = [row for answer in answers for row in answer.rows]
    return Predictions(answers[0].model, answers[-1].version, found)


def ask_with_new_key(ask: Callable[[], Predictions]) -> Predictions:
    """*ask*, while a key that the hub knows is still on its way to the node: at most a second or two."""
    give_up_s = time.monotonic() + _KEY_ARRIVES_S
    while True:
        try:
            return ask()
        except Unauthenticated:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.05)


def sample_rows(request: bytes) -> Rows:
    """The rows inside an OIP v2 JSON request: as they are, or as records when every column is an input.

    >>> sample_rows(b'{"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]}')
    Rows(word='rows', items=[[1, 2], [3, 4]])
    """
    inputs = msgspec.json.decode(request, type=dict[str, Any]).get("inputs") or []
    if not inputs:
        raise Malformed("the sample of this version holds no inputs")
    columns = {entry["name"]: _by_row(_short(entry), int(entry["shape"][0])) for entry in inputs}
    if len(columns) == 1:
        return Rows("rows", next(iter(columns.values())))
    names = list(columns)
    return Rows(
        "records",
        [
            {name: row[0] if len(row) == 1 else row for name, row in zip(names, cells, strict=True)}
            for cells in zip(*columns.values(), strict=True)
        ],
    )


def curl_for(url: str, secret: str, model: str, body: dict[str, Any]) -> str:
    """A call that works when it is pasted into a shell. *secret* is shell text for inside double quotes.

    >>> print(curl_for("http://127.0.0.1:8000", "$FOREBAY_KEY", "iris", {"rows": [[5.1, 3.5]]}))
    curl http://127.0.0.1:8000/predict/iris -H "Authorization: Bearer $FOREBAY_KEY" -d '{"rows":[[5.1,3.5]]}'
    """
    sent = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return f'curl {url}/predict/{model} -H "Authorization: Bearer {secret}" -d {shlex.quote(sent)}'


def _short(entry: dict[str, Any]) -> list[Any]:
    """The data of a tensor; a float32 as people write it: 5.1, not 5.099999904632568."""
    flat: list[Any] = np.asarray(entry["data"], dtype=object).ravel().tolist()
    if entry["datatype"] != "FP32":
        return flat
    return [float(str(np.float32(value))) if isinstance(value, float) else value for value in flat]


def _by_row(flat: list[Any], rows: int) -> list[list[Any]]:
    width = len(flat) // max(rows, 1)
    return [flat[start : start + width] for start in range(0, len(flat), width)] if width else []

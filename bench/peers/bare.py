"""The floor: httptools on uvloop. No key, no limit, no metering, no batching, no checks: not a design.

BENCH_WORKERS processes share one port.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httptools
import numpy as np
import orjson
import simdjson
import uvloop

from bench.peers.model import DATATYPES, DTYPES, NAME, PORT, WORKERS, Arrays, Model, answer_of

_BINARY = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"
    b"inference-header-content-length: %d\r\ncontent-length: %d\r\n\r\n%b"
)
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_parser = simdjson.Parser()
_model = Model()


class Connection(asyncio.Protocol):
    """One connection: parse, run, answer, all in one turn of the loop."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._http = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}

    def data_received(self, data: bytes) -> None:
        self._http.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = []
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if not body:
            self._transport.write(_JSON % (2, b"{}"))
            return
        length = self._headers.get(b"inference-header-content-length")
        self._transport.write(_answer_json(body) if length is None else _answer_binary(body, int(length)))


def _answer_json(body: bytes) -> bytes:
    inputs: Arrays = {}
    document: Any = _parser.parse(body)
    for tensor in document["inputs"]:
        dtype = DTYPES[tensor["datatype"]]
        wide, kind = ("f8", "d") if dtype.kind == "f" else ("i8", "i")
        values = np.frombuffer(tensor["data"].as_buffer(of_type=kind), dtype=wide)
        inputs[tensor["name"]] = values.astype(dtype).reshape(list(tensor["shape"]))
        del tensor
    del document
    answer = orjson.dumps(answer_of(_model.run(inputs)), option=orjson.OPT_SERIALIZE_NUMPY)
    return _JSON % (len(answer), answer)


def _answer_binary(body: bytes, offset: int) -> bytes:
    inputs: Arrays = {}
    for tensor in orjson.loads(body[:offset])["inputs"]:
        size = tensor["parameters"]["binary_data_size"]
        dtype = DTYPES[tensor["datatype"]]
        values = np.frombuffer(body, dtype=dtype, offset=offset, count=size // dtype.itemsize)
        inputs[tensor["name"]] = values.reshape(tensor["shape"])
        offset += size
    outputs = _model.run(inputs)
    described = [
        {
            "name": name,
            "datatype": DATATYPES[array.dtype],
            "shape": array.shape,
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in outputs.items()
    ]
    head = orjson.dumps({"model_name": NAME, "outputs": described})
    answer = b"".join((head, *(array.tobytes() for array in outputs.values())))
    return _BINARY % (len(head), len(answer), answer)


async def serve() -> None:
    """Listen until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", PORT, reuse_port=True)
    await server.serve_forever()


if __name__ == "__main__":
    for _ in range(WORKERS - 1):
        if os.fork() == 0:
            break
    uvloop.run(serve())

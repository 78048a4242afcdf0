"""Drives a node with tritonclient, in an environment that has it; prints what came back as one JSON document.

Run as: python triton.py '{"http": "host:port", "grpc": "host:port", "key": "fb-…"}'
The four variants of the client go through the same scenes.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import queue
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

VARIANTS = {
    "http": "tritonclient.http",
    "grpc": "tritonclient.grpc",
    "http.aio": "tritonclient.http.aio",
    "grpc.aio": "tritonclient.grpc.aio",
}


async def _said(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _plain(array: Any) -> Any:
    if array is None:
        return None
    if array.dtype.kind not in "OSU":
        return {"dtype": str(array.dtype), "shape": list(array.shape), "hex": array.tobytes().hex()}
    items = [item.encode() if isinstance(item, str) else bytes(item) for item in array.flat]
    return {"dtype": "BYTES", "shape": list(array.shape), "hex": [item.hex() for item in items]}


class Scenes:
    """One variant against one node."""

    def __init__(self, variant: str, place: dict[str, str]) -> None:
        self.variant = variant
        self.over_http = variant.startswith("http")
        self.module: Any = importlib.import_module(VARIANTS[variant])
        self.errors: Any = importlib.import_module("tritonclient.utils").InferenceServerException
        self.client: Any = self.module.InferenceServerClient(place["http" if self.over_http else "grpc"])
        self.headers = {"authorization": f"Bearer {place['key']}"}

    async def ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A method of the client, with our key, as plain data."""
        named.setdefault("headers", dict(self.headers))  # the client writes into them
        if not self.over_http and method.startswith("get_"):
            named["as_json"] = True
        return await _said(getattr(self.client, method)(*arguments, **named))

    def input(self, array: Any, datatype: str, binary: bool | None = None) -> Any:
        """An input called `x`; the bits of BF16 in the dtype that the client wants."""
        tensor = self.module.InferInput("x", list(array.shape), datatype)
        if datatype == "BF16":
            array = array.view(importlib.import_module("ml_dtypes").bfloat16)
        if binary is None:
            tensor.set_data_from_numpy(array)
        else:
            tensor.set_data_from_numpy(array, binary_data=binary)
        return tensor

    async def infer(self, model: str, array: Any, datatype: str, **named: Any) -> Any:
        """The output `y`, and the answer's own words."""
        tensor = self.input(array, datatype, named.pop("binary", None))
        result = await self.ask("infer", model, [tensor], **named)
        return {"in": _plain(array), "y": _output(result, datatype), **_words(result)}

    async def refused(self, work: Awaitable[Any]) -> Any:
        """The status and the message of a refusal."""
        try:
            await work
        except self.errors as error:
            return {"status": str(error.status()), "message": error.message()}
        return {"status": "answered", "message": ""}

    async def play(self) -> dict[str, Any]:
        rows = np.arange(6, dtype=np.float32).reshape(2, 3)
        many = np.arange(3000, dtype=np.float32).reshape(-1, 3)
        words = np.array([[b"one"], [b""], ["zwölf".encode()]], dtype=np.object_)
        half = np.array([[0.5, -2.0], [65504.0, 0.0]], np.float16)
        bits = np.array([[0x3F80, 0xBF80], [0x7F80, 0x0001]], np.uint16)
        found = {
            "live": await _said(self.client.is_server_live()),
            "ready": await _said(self.client.is_server_ready()),
            "model_ready": await self.ask("is_model_ready", "twice"),
            "unknown_ready": await self.ask("is_model_ready", "nobody"),
            "server": await self.ask("get_server_metadata"),
            "metadata": await self.ask("get_model_metadata", "twice"),
            "config": await self.ask("get_model_config", "twice"),
            "index": await self.ask("get_model_repository_index"),
            "rows": await self.infer("twice", rows, "FP32", request_id="mine"),
            "version": await self.infer("twice", rows, "FP32", model_version="1"),
            "empty": await self.infer("twice", rows[:0], "FP32"),
            "words": await self.infer("text", words, "BYTES"),
            "FP16": await self.infer("fp16", half, "FP16"),
            "BF16": await self.infer("bf16", bits, "BF16"),
            "no_model": await self.refused(self.infer("nobody", rows, "FP32")),
            "no_version": await self.refused(self.infer("twice", rows, "FP32", model_version="9")),
            "bad_shape": await self.refused(self.infer("twice", rows.reshape(3, 2), "FP32")),
            "bad_type": await self.refused(self.infer("twice", rows.astype(np.int32), "INT32")),
            "no_key": await self.refused(self.infer("twice", rows, "FP32", headers={})),
        }
        best = [self.module.InferRequestedOutput("y", class_count=2)]
        found["classes"] = await self.infer("twice", rows, "FP32", outputs=best)
        for encoding in ("gzip", "deflate"):
            found[encoding] = await self.infer("twice", many, "FP32", **self.compressed(encoding))
        found |= await (self.play_http(rows, words) if self.over_http else self.play_grpc(rows))
        found["statistics"] = await self.ask("get_inference_statistics", "twice")
        await _said(self.client.close())
        return found

    def compressed(self, encoding: str) -> dict[str, str]:
        if self.over_http:
            return {"request_compression_algorithm": encoding, "response_compression_algorithm": encoding}
        return {"compression_algorithm": encoding}

    async def play_http(self, rows: Any, words: Any) -> dict[str, Any]:
        """JSON in and out, in every mixture with bytes."""
        found = {}
        for into in (True, False):
            for out in (True, False):
                wanted = [self.module.InferRequestedOutput("y", binary_data=out)]
                name = f"mixed {into} {out}"
                found[name] = await self.infer("twice", rows, "FP32", binary=into, outputs=wanted)
                found[f"{name} words"] = await self.infer("text", words, "BYTES", binary=into, outputs=wanted)
        return found

    async def play_grpc(self, rows: Any) -> dict[str, Any]:
        """A stream with a mistake in its middle, and what is not served."""
        wanted = [self.module.InferRequestedOutput("y")]
        asked = [
            {
                "model_name": "nobody" if number == 2 else "twice",
                "inputs": [self.input(rows + number, "FP32")],
                "request_id": str(number),
            }
            for number in range(5)
        ]
        stream = self.stream_aio if self.variant.endswith("aio") else self.stream
        return {
            "wanted": await self.infer("twice", rows, "FP32", outputs=wanted),
            "stream": await stream(asked),
            "load": await self.refused(self.ask("load_model", "twice")),
            "shared_memory": await self.refused(self.ask("get_system_shared_memory_status")),
        }

    async def stream(self, asked: list[dict[str, Any]]) -> list[Any]:
        heard: queue.Queue[tuple[Any, Any]] = queue.Queue()
        self.client.start_stream(lambda result, error: heard.put((result, error)), headers=self.headers)
        for request in asked:
            self.client.async_stream_infer(**request)
        found = [_streamed(*heard.get(timeout=10)) for _ in asked]
        self.client.stop_stream()
        return found

    async def stream_aio(self, asked: list[dict[str, Any]]) -> list[Any]:
        async def requests() -> Any:
            for request in asked:
                yield request

        answers = self.client.stream_infer(requests(), headers=self.headers)
        return [_streamed(result, error) async for result, error in answers]


def _output(result: Any, datatype: str) -> Any:
    array = result.as_numpy("y")
    return _plain(array.view(np.uint16) if datatype == "BF16" else array)


def _words(result: Any) -> dict[str, Any]:
    response = result.get_response()
    if isinstance(response, dict):
        return {key: response.get(key, "") for key in ("model_name", "model_version", "id")}
    return {key: getattr(response, key) for key in ("model_name", "model_version", "id")}


def _streamed(result: Any, error: Any) -> Any:
    if error is not None:
        return {"error": error.message()}
    return {"y": _output(result, "FP32"), "id": result.get_response().id}


async def main(place: dict[str, str]) -> None:
    found = {}
    for variant in VARIANTS:
        scenes: Callable[[], Awaitable[dict[str, Any]]] = Scenes(variant, place).play
        found[variant] = await scenes()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))

"""A gRPC client for the tests, which shows a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from forebay.core import Key
from forebay.serving.wire import Answer, Call, oip_grpc
from support.nodes import Running

OIP = "/inference.GRPCInferenceService"


class Caller:
    """A gRPC client that shows a key."""

    def __init__(self, channel: Any, key: Key | None) -> None:
        self._channel = channel
        self._metadata = [] if key is None else [("authorization", f"Bearer {key.secret}")]

    def bytes(self, method: str, message: bytes = b"", **options: Any) -> bytes:
        found: bytes = self._channel.unary_unary(method)(message, **self._options(options))
        return found

    def page(self, kind: str, **fields: Any) -> Any:
        """What the method *kind* answers."""
        message = oip_grpc.PROTOCOL.message
        request = message(f"inference.{kind}Request")(**fields).SerializeToString()
        return message(f"inference.{kind}Response").FromString(self.bytes(f"{OIP}/{kind}", request))

    def infer(self, call: Call, *, raw: bool = True, **options: Any) -> Answer:
        message = oip_grpc.encode_request(call, raw=raw)
        return oip_grpc.decode_answer(self.bytes(f"{OIP}/ModelInfer", message, **options))

    def later(self, call: Call, **options: Any) -> Any:
        """A future of the answer's bytes."""
        message = oip_grpc.encode_request(call)
        return self._channel.unary_unary(f"{OIP}/ModelInfer").future(message, **self._options(options))

    def stream(self, messages: Any, method: str = f"{OIP}/ModelStreamInfer", **options: Any) -> Any:
        return self._channel.stream_stream(method)(messages, **self._options(options))

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        metadata = [*self._metadata, *options.pop("metadata", [])]
        return {"metadata": metadata, "timeout": 20, **options}


@contextmanager
def calling(node: Running, key: Key | None) -> Iterator[Caller]:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{node.node.grpc_port}", options) as channel:
        yield Caller(channel, key)


@contextmanager
def refused(status: str, sentence: str = "") -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    error: Any = caught.value
    assert error.code().name == status, error.details()
    assert sentence in error.details()

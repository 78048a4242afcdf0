"""The small bodies of the Open Inference Protocol: metadata, readiness, errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from forebay.core import Signature, TensorSpec
from forebay.core.errors import Malformed


def server(name: str, version: str, extensions: Iterable[str]) -> dict[str, Any]:
    """What `GET /v2` answers."""
    return {"name": name, "version": version, "extensions": list(extensions)}


def model(name: str, versions: Iterable[str], platform: str, signature: Signature) -> dict[str, Any]:
    """What `GET /v2/models/{model}` answers; -1 in a shape varies."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": platform,
        "inputs": [_described(spec) for spec in signature.inputs],
        "outputs": [_described(spec) for spec in signature.outputs],
    }


def _described(spec: TensorSpec) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": spec.name,
        "datatype": spec.datatype.value,
        "shape": list(spec.shape),
    }
    if spec.columns:
        # A parameter is a string, a number or a boolean; so the names are JSON within a string.
        described["parameters"] = {"columns": orjson.dumps(spec.columns).decode()}
    return described


def wants_ready(body: bytes) -> bool:
    """Whether a request for the repository's index, whose body may be empty, wants ready models only."""
    try:
        said = orjson.loads(body or b"{}")
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Malformed('the body is empty, or {"ready": true}')
    return said.get("ready") is True


def encode(page: Any) -> bytes:
    """A page as JSON; gRPC's messages are made from the same pages (`oip_grpc_pages`)."""
    return orjson.dumps(page)


def models(names: Iterable[str]) -> bytes:
    """What `GET /v2/models` answers."""
    return orjson.dumps({"models": list(names)})


def live(alive: bool) -> bytes:
    """What `GET /v2/health/live` answers."""
    return b'{"live":true}' if alive else b'{"live":false}'


def ready(is_ready: bool) -> bytes:
    """What `GET /v2/health/ready` answers."""
    return b'{"ready":true}' if is_ready else b'{"ready":false}'


def model_ready(model: str, is_ready: bool) -> bytes:
    """What `GET /v2/models/{model}/ready` answers."""
    return orjson.dumps({"name": model, "ready": is_ready})


def encode_error(message: str) -> bytes:
    """Every failure under `/v2`."""
    return orjson.dumps({"error": message.encode(errors="replace").decode()})


def decode_error(body: bytes) -> str | None:
    """The message of an error body; None if it is none."""
    try:
        document = orjson.loads(body)
    except ValueError:
        return None
    message = document.get("error") if isinstance(document, dict) else None
    return message if isinstance(message, str) else None

"""The Open Inference Protocol's small bodies: metadata, readiness, errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from forebay.core import Signature, TensorSpec


def server_metadata(name: str, version: str, extensions: Iterable[str]) -> bytes:
    """What `GET /v2` answers."""
    return orjson.dumps({"name": name, "version": version, "extensions": list(extensions)})


def model_metadata(model: str, versions: Iterable[str], platform: str, signature: Signature) -> bytes:
    """What `GET /v2/models/{model}` answers; -1 in a shape varies."""
    return orjson.dumps(
        {
            "name": model,
            "versions": list(versions),
            "platform": platform,
            "inputs": [_described(spec) for spec in signature.inputs],
            "outputs": [_described(spec) for spec in signature.outputs],
        }
    )


def _described(spec: TensorSpec) -> dict[str, Any]:
    described: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
    if spec.columns:
        # A parameter is a string, a number or a boolean; so the names are JSON within a string.
        described["parameters"] = {"columns": orjson.dumps(spec.columns).decode()}
    return described


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

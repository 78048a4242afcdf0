"""What a real node answers with a model that was just converted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from forebay.core import Array, Tensors
from forebay.core.requests import encode_request
from forebay.workshop.convert import Converted
from support.nodes import Prepared, running


class Asked:
    """A converted model on a node."""

    def __init__(self, client: httpx.Client, converted: Converted) -> None:
        self._client = client
        self._converted = converted

    def __call__(self, inputs: Tensors) -> Tensors:
        """The outputs for *inputs*, over HTTP."""
        body = encode_request(inputs, self._converted.signature)
        answer = self._client.post("/v2/models/m/infer", content=body)
        assert answer.status_code == 200, answer.text
        return {item["name"]: self._array(item) for item in answer.json()["outputs"]}

    def sample(self) -> Tensors:
        """The outputs for the rows that stay with the model."""
        return self(self._converted.sample)

    def _array(self, item: dict[str, Any]) -> Array:
        dtype = self._converted.signature.output(item["name"]).datatype.dtype
        return np.array(item["data"], dtype=dtype).reshape(item["shape"])


@contextmanager
def asked(converted: Converted, folder: Path, **changed: object) -> Iterator[Asked]:
    """*converted* on a node in *folder*; the node's settings may be *changed*."""
    prepared = Prepared(folder)
    key = prepared.key()
    new = folder / "artifacts" / ".new"
    converted.save(new)
    prepared.deploy("m", [prepared.keep(new)])
    with running(prepared, **changed) as node, node.client(key, timeout_s=60) as client:
        yield Asked(client, converted)

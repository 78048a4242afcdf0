"""Sample rows as a request of the Open Inference Protocol (version 2, JSON)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from forebay.core.errors import Malformed
from forebay.core.tensors import Signature, Tensors


def encode_request(inputs: Tensors, signature: Signature) -> bytes:
    """The JSON body of an infer request for *inputs*."""
    body = [
        {
            "name": spec.name,
            "datatype": spec.datatype.value,
            "shape": list(inputs[spec.name].shape),
            "data": inputs[spec.name].ravel().tolist(),
        }
        for spec in signature.inputs
    ]
    return json.dumps({"inputs": body}, ensure_ascii=False).encode()


def decode_request(body: bytes, signature: Signature) -> Tensors:
    """The tensors of a JSON infer request that fits *signature*; raises `Malformed`."""
    try:
        listed = {item["name"]: item for item in json.loads(body)["inputs"]}
        inputs = {name: _tensor(item, signature) for name, item in listed.items()}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise Malformed(f"the sample request cannot be read: {error}") from error
    if not signature.check(inputs):
        raise Malformed("the sample request has no rows; leave it out, or give one")
    return inputs


def _tensor(item: dict[str, Any], signature: Signature) -> Any:
    spec = signature.input(item["name"])
    if item["datatype"] != spec.datatype.value:
        raise Malformed(f"the sample's input {spec.name!r} has the datatype {item['datatype']}")
    return np.array(item["data"], dtype=spec.datatype.dtype).reshape(item["shape"])

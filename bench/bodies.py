"""The one request of a model in each wire format, and whether an answer to it is right."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson

from bench.models import Arrays, Model
from bench.peers.model import DATATYPES, DTYPES
from bench.venvs import python_of
from bench.words import CACHE, ROOT, Missing, Target, Wire

_JSON = ("Content-Type", "application/json")
_OCTETS = ("Content-Type", "application/octet-stream")
_HEAD_LENGTH = "Inference-Header-Content-Length"
_GRPC = (("Content-Type", "application/grpc"), ("TE", "trailers"))
_SECONDS = 60.0


def request_for(
    model: Model, wire: Wire, port: int, path: str, headers: tuple[tuple[str, str], ...] = ()
) -> Target:
    """Where to send the row of *model*, and as what; the body is written to a file for the generator."""
    file = CACHE / "bodies" / f"{model.name}.{wire}"
    file.parent.mkdir(parents=True, exist_ok=True)
    return Target(port, path, (*_WRITERS[wire](model, file), *headers), file, wire)


def json_request(row: Arrays) -> bytes:
    """An Open Inference request with the values in JSON."""
    inputs = [described(name, array) | {"data": array.ravel()} for name, array in row.items()]
    return orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)


def binary_request(row: Arrays, outputs: list[str]) -> tuple[int, bytes]:
    """The same with binary tensors, and how long its head is; *outputs* are asked for as binary."""
    inputs = [
        described(name, array) | {"parameters": {"binary_data_size": array.nbytes}}
        for name, array in row.items()
    ]
    asked = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    head = orjson.dumps({"inputs": inputs, "outputs": asked})
    return len(head), b"".join((head, *(array.tobytes() for array in row.values())))


def described(name: str, array: Any) -> dict[str, Any]:
    """Name, datatype and shape of a tensor."""
    return {"name": name, "datatype": DATATYPES[array.dtype], "shape": list(array.shape)}


def arrays_in(headers: Mapping[str, str], body: bytes) -> Arrays:
    """The tensors of an Open Inference answer, in JSON or binary."""
    size = int(headers.get(_HEAD_LENGTH.lower(), len(body)))
    tail, found = size, {}
    for tensor in orjson.loads(body[:size])["outputs"]:
        dtype = DTYPES[tensor["datatype"]]
        if "data" in tensor:
            array = np.asarray(tensor["data"], dtype=dtype)
        else:
            count = tensor["parameters"]["binary_data_size"] // dtype.itemsize
            array = np.frombuffer(body, dtype, count, tail)
            tail += array.nbytes
        found[tensor["name"]] = array.reshape(tensor["shape"])
    return found


def check(target: Target, expected: Arrays) -> int:
    """Send the request once and compare the answer with *expected*; returns the bytes of the answer.

    Raises `Missing`: who answers wrongly is not measured.
    """
    size, found = (_ask_grpc if target.wire is Wire.GRPC else _ask_http)(target)
    for name, array in expected.items():
        if name not in found:
            raise Missing(f"its answer has no {name!r}, only {sorted(found)}")
        if found[name].shape != array.shape or not np.allclose(found[name], array, rtol=1e-3, atol=1e-4):
            raise Missing(f"its answer's {name!r} differs from a bare ONNX Runtime call")
    return size


def _ask_http(target: Target) -> tuple[int, Arrays]:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=_SECONDS)
    try:
        connection.request("POST", target.path, target.body.read_bytes(), dict(target.headers))
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Missing(f"it does not answer: {error!r}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise Missing(f"it answers {answer.status}: {body[:200].decode(errors='replace')}")
    return len(body), arrays_in({name.lower(): value for name, value in answer.getheaders()}, body)


def _ask_grpc(target: Target) -> tuple[int, Arrays]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "answer.npz"
        headers = [word for pair in target.headers if pair not in _GRPC for word in pair]
        said = _messages("ask", str(target.port), str(target.body), str(file), *headers)
        with np.load(file) as arrays:
            return int(said), {name: arrays[name] for name in arrays}


def _messages(*words: str) -> str:
    command = [str(python_of("grpc")), "-m", "bench.peers.grpc_messages", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Missing(f"gRPC failed: {' '.join(lines[-6:])[:300]}")
    return done.stdout


def _write_json(model: Model, file: Path) -> tuple[tuple[str, str], ...]:
    file.write_bytes(json_request(model.row))
    return (_JSON,)


def _write_binary(model: Model, file: Path) -> tuple[tuple[str, str], ...]:
    size, body = binary_request(model.row, list(model.expected()))
    file.write_bytes(body)
    return _OCTETS, (_HEAD_LENGTH, str(size))


def _write_grpc(model: Model, file: Path) -> tuple[tuple[str, str], ...]:
    with TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        np.savez(inputs, **model.row)  # type: ignore[arg-type]  # names of tensors, not allow_pickle
        _messages("request", model.name, str(inputs), str(file))
    return _GRPC


_WRITERS: Mapping[Wire, Callable[[Model, Path], tuple[tuple[str, str], ...]]] = {
    Wire.JSON: _write_json,
    Wire.BINARY: _write_binary,
    Wire.GRPC: _write_grpc,
}

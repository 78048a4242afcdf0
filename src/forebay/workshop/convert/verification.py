"""Proof that an artifact, whoever made it, loads and answers as its `forebay.json` says."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from forebay.core import CODE_FOLDER, INFO_NAME, Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import ForebayError, Malformed
from forebay.core.requests import decode_request
from forebay.serving.runtime import Backend, Budget, open_backend
from forebay.workshop.convert.looks import strange_text
from forebay.workshop.convert.model_files import checked_model
from forebay.workshop.convert.parity import TOLERANCE, compare
from forebay.workshop.convert.running import answer, runtime_name

_PLAIN = frozenset({".json", ".md", ".txt", ".csv", ".html"})
_CODE = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".skops", ".py", ".so", ".dill"})
_BATCH_ROWS = 8
_TIMED_RUNS = 30
_TIMED_S = 1.0


def verify(folder: Path) -> tuple[ArtifactInfo, dict[str, Any]]:
    """Read, check, load and run the artifact in *folder*; its info, and the evidence of the check.

    Raises `Malformed` with a sentence for the first thing that is wrong: no or
    an unreadable `forebay.json`, files that are code or belong to nothing, a damaged graph, weights
    outside the artifact, inputs and outputs that are not those of the signature, or a model that
    answers a row differently when it comes in company. The owner's code is looked at and not run.
    """
    info = _info(folder)
    _check_files(folder, {INFO_NAME, *checked_model(folder, info)}, code=info.code)
    if info.code:
        return info, {"kind": "verification", "runtime": "python", "rows": "none: the hub runs no code"}
    backend = open_backend(folder, info, Budget())
    _check_signature(info.signature, backend.signature)
    inputs, origin = _rows(folder, info)
    latency_ms = _check_answers(info.signature, backend, inputs)
    return info, {
        "kind": "verification",
        "runtime": runtime_name(info.backend),
        "rows": origin,
        "latency_p50_ms": latency_ms,
        "batches": info.signature.batches,
    }


def _info(folder: Path) -> ArtifactInfo:
    try:
        return ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
    except FileNotFoundError:
        raise Malformed(f"the artifact has no {INFO_NAME}; make it with forebay.convert(…).save(…)") from None


def _check_files(folder: Path, known: set[str], *, code: bool) -> None:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in known or (code and name.startswith(f"{CODE_FOLDER}/")):
            continue
        if path.suffix.lower() in _CODE:
            raise Malformed(
                f"{name!r} is code or a pickle, which no server loads; leave it out, or convert it where you "
                f"trust it: forebay publish {name} --name NAME --sample ROWS.csv --trust"
            )
        if path.suffix.lower() not in _PLAIN:
            raise Malformed(f"{name!r} belongs to nothing in {INFO_NAME}; leave it out")
        if what := strange_text(path):
            raise Malformed(f"{name!r} is not what its name says: it is {what}; leave it out")


def _check_signature(declared: Signature, real: Signature) -> None:
    _check_specs("input", declared.inputs, real.inputs)
    _check_specs("output", declared.outputs, real.outputs)


def _check_specs(what: str, declared: tuple[TensorSpec, ...], real: tuple[TensorSpec, ...]) -> None:
    by_name = {spec.name: spec for spec in real}
    if {spec.name for spec in declared} != set(by_name):
        names = [spec.name for spec in declared]
        raise Malformed(f"the signature names the {what}s {names}, the model has {list(by_name)}")
    for spec in declared:
        _check_spec(what, spec, by_name[spec.name])


def _check_spec(what: str, declared: TensorSpec, real: TensorSpec) -> None:
    if declared.datatype is not real.datatype:
        raise Malformed(
            f"the signature says that the {what} {declared.name!r} is {declared.datatype}, "
            f"the model says {real.datatype}"
        )
    fits = len(declared.shape) == len(real.shape) and all(
        -1 in pair or pair[0] == pair[1] for pair in zip(declared.shape, real.shape, strict=True)
    )
    batch = not declared.shape or declared.shape[0] != -1 or real.shape[0] == -1
    if not fits or not batch:
        raise Malformed(
            f"the signature says that the {what} {declared.name!r} has the shape {list(declared.shape)}, "
            f"the model says {list(real.shape)}"
        )


def _rows(folder: Path, info: ArtifactInfo) -> tuple[Tensors, str]:
    if info.sample:
        if not (folder / info.sample).is_file():
            raise Malformed(f"{INFO_NAME} names the sample {info.sample!r}, which is not among the files")
        return decode_request((folder / info.sample).read_bytes(), info.signature), "sample"
    return {spec.name: _zeros(spec) for spec in info.signature.inputs}, "zeros"


def _zeros(spec: TensorSpec) -> Array:
    shape = tuple(1 if size == -1 else size for size in spec.shape)
    if spec.datatype is DataType.BYTES:
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=spec.datatype.dtype)


def _check_answers(signature: Signature, backend: Backend, inputs: Tensors) -> float:
    """Run the rows alone and together; the median milliseconds of one row (or one call)."""
    if not signature.batches:
        _answer(signature, backend, inputs)
        return _latency_ms(backend, inputs)
    one = {name: values[:1] for name, values in inputs.items()}
    rows = len(next(iter(inputs.values())))
    several = {name: values[np.arange(_BATCH_ROWS) % rows] for name, values in inputs.items()}
    alone, together = _answer(signature, backend, one), _answer(signature, backend, several)
    first = {name: values[:1] for name, values in together.items()}
    parity = compare(alone, first, max(TOLERANCE, 1e-3))
    if parity.off:
        raise Malformed(
            "the model answers the same row differently when other rows come with it "
            f"({parity.describe_worst()}); declare a fixed first dimension so that it is asked row by row"
        )
    return _latency_ms(backend, one)


def _answer(signature: Signature, backend: Backend, inputs: Tensors) -> Tensors:
    answers = answer(backend, inputs)
    for spec in signature.outputs:
        try:
            spec.check(answers[spec.name])
        except ForebayError as error:
            raise Malformed(f"the model's answer does not fit the signature: {error}") from error
    return {spec.name: answers[spec.name] for spec in signature.outputs}


def _latency_ms(backend: Backend, inputs: Tensors) -> float:
    taken: list[float] = []
    while len(taken) < _TIMED_RUNS and sum(taken) < _TIMED_S:
        start = time.perf_counter()
        answer(backend, inputs)
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken) * 1000, 3)

"""From a network, as its framework runs it, to the draft of an artifact."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forebay.core import Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.networks.edges import LONG, edges_of_rows
from forebay.workshop.convert.networks.head import PROBABILITIES, Head, head_for
from forebay.workshop.convert.networks.rows import repeated, stretched
from forebay.workshop.convert.networks.tidy import declare, rounding_of, tidy, unknown_operators
from forebay.workshop.convert.running import opened

_LARGEST_BYTES = (1 << 31) - (1 << 20)
"""One protobuf message holds 2 GiB; the graph itself needs a little of that."""
_SAME = 1e-3
_DATATYPES = {
    datatype.dtype: datatype for datatype in DataType if datatype not in (DataType.BF16, DataType.BYTES)
}


@dataclass(frozen=True, slots=True)
class Network:
    """A network with named inputs and outputs, in the state in which it answers (nothing is dropped out)."""

    origin: str
    """What it is, for people: `PyTorch 2.13.0 Net`."""
    ask: Callable[[Tensors], Tensors]
    """Its answers to any number of rows; raises whatever the framework raises."""
    export: Callable[[Tensors], Any]
    """The ONNX model for rows like these, with the inputs and outputs of `ask`, by name or in their order."""
    varying: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """The axes of each input, besides the rows, that have any length."""
    longest: int = LONG
    """The longest that the varying axes are tried at."""
    labels: Sequence[Any] = ()
    """The classes that the network itself knows."""
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of the entries of an output's last dimension, for outputs that are served as they are."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What else belongs to the version: a tokenizer."""


def draft_of(network: Network, rows: Tensors, given: Given, rows_from: str = "generated") -> Draft:
    """The draft of *network*, exported with *rows*, which are *rows_from* where no sample was given.

    Refuses what is no network for any number of rows.
    """
    answers = _first_answers(network, rows)
    _check_chance(network, rows, answers)
    _check_company(network, rows, answers)
    proto = network.export(rows)
    _check_operators(network, proto)
    tidy(proto, list(rows), list(answers))
    labels = given.labels or network.labels
    head = head_for(proto, answers, labels) if labels else None
    if head is not None:
        head.attach(proto)
    signature = _signature(network, rows, answers, _columns(given), head)
    declare(proto.graph, signature)
    task = "classification" if head is not None and head.single else ""
    info = ArtifactInfo(signature, task=task)
    files = {info.model: _bytes_of(proto), **network.files}
    _check_kernels(files, info)
    sizes = {name: _size(values) for name, values in answers.items() if values.dtype.kind == "f"}
    return Draft(
        origin=network.origin,
        files=files,
        info=info,
        rows=rows,
        ask=network.ask if head is None else _headed(network, head),
        tensors=_as_they_are,
        edges=edges_of_rows(rows, network.varying, network.longest),
        tell_row=_told,
        sizes=sizes if head is None else {},
        rounding=rounding_of(proto),
        evidence={"sample": rows_from} if given.sample is None else {},
    )


def _columns(given: Given) -> Sequence[str] | None:
    """The names that the owner gives, or those of the frame that is the sample."""
    if given.columns is None and hasattr(given.sample, "columns"):
        return [str(name) for name in given.sample.columns]
    return given.columns


def _first_answers(network: Network, rows: Tensors) -> Tensors:
    try:
        answers = network.ask(rows)
    except Malformed:
        raise
    except Exception as error:  # frameworks raise classes of their own making
        raise Malformed(f"the network itself refuses the sample: {_reason(rows, error)}") from error
    count = len(next(iter(rows.values())))
    for name, values in answers.items():
        if values.shape[:1] != (count,):
            raise Malformed(
                f"the network answers {count} rows with {name!r} of the shape {list(values.shape)}; "
                "what is served has an answer a row in the first dimension: rearrange it, or leave it out"
            )
        if values.dtype not in _DATATYPES:
            raise Unsupported(f"the network gives {name!r} as {values.dtype}, which cannot travel; cast it")
    if not answers:
        raise Malformed("the network answers no tensor at all")
    return answers


def _reason(rows: Tensors, error: Exception) -> str:
    given = ", ".join(f"{name} {values.dtype}{list(values.shape)}" for name, values in rows.items())
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{' '.join(lines[:2])[:300] or type(error).__name__} (the sample is {given})"


def _check_chance(network: Network, rows: Tensors, answers: Tensors) -> None:
    """What answers by chance, or remembers, can be neither proved nor promised."""
    for name, again in network.ask(rows).items():
        if not _alike(answers[name], again, answers[name]):
            raise Malformed(
                f"the network answers the same sample differently when it is asked again (in {name!r}): its "
                "answer depends on chance, or on what it was asked before; take out what draws or remembers"
            )


def _check_company(network: Network, rows: Tensors, answers: Tensors) -> None:
    """A server puts the rows of several callers together, so a row's answer may not depend on the others.

    Not the first row alone is asked: where the rows are moments, the first knows of no other.
    """
    _check_alone(network, rows, answers, 0)
    if len(next(iter(rows.values()))) > 1:
        _check_alone(network, rows, answers, -1)


def _check_alone(network: Network, rows: Tensors, answers: Tensors, row: int) -> None:
    which = "last" if row else "first"
    try:
        alone = network.ask({name: values[[row]] for name, values in rows.items()})
    except Exception as error:  # as above
        raise Malformed(
            f"the network answers the whole sample and refuses its {which} row alone: "
            f"{_reason(rows, error)}; what is served takes any number of rows"
        ) from error
    for name, values in answers.items():
        if not _alike(values[[row]], alone[name], values):
            raise Malformed(
                f"the network answers the {which} row differently when it comes alone (in {name!r}): its "
                "answer depends on the other rows of the batch, which a server fills from several callers; "
                "compute it from the row alone, with the rows in the first dimension"
            )


def _alike(want: Array, got: Array, whole: Array) -> bool:
    """Whether both are the same, but for the rounding of numbers as large as those of the *whole* answer."""
    want, got = want.astype(np.float64), np.asarray(got, np.float64)
    return want.shape == got.shape and np.allclose(
        want, got, rtol=_SAME, atol=_SAME * _size(whole), equal_nan=True
    )


def _check_operators(network: Network, proto: Any) -> None:
    strange = unknown_operators(proto)
    if strange:
        raise Unsupported(
            f"{network.origin} uses {', '.join(strange)}, which ONNX does not have; build it of other layers"
        )


def _check_kernels(files: Mapping[str, bytes], info: ArtifactInfo) -> None:
    """ONNX Runtime computes some operators in float32 only."""
    if not any(spec.datatype is DataType.FP64 for spec in info.signature.inputs):
        return
    try:
        with opened(files, info):
            pass
    except Malformed as error:
        raise Unsupported(
            f"the network computes in float64, which ONNX Runtime does not for all of it ({error}); "
            "publish it in float32, as in model.float()"
        ) from error


def _bytes_of(proto: Any) -> bytes:
    size = proto.ByteSize()
    if size > _LARGEST_BYTES:
        raise Unsupported(
            f"the network's weights have {size / 1e9:.1f} GB, and one ONNX file holds at most 2 GiB; "
            "publish it in half precision"
        )
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _headed(network: Network, head: Head) -> Callable[[Tensors], Tensors]:
    return lambda rows: head.apply(network.ask(rows)[head.output])


def _as_they_are(rows: Tensors) -> Tensors:
    return rows


def _size(values: Array) -> float:
    """What is large for this output: the root of its mean square, over the rows of the sample."""
    if not values.size or values.dtype.kind != "f":
        return 1.0
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) or 1.0


def _signature(
    network: Network, rows: Tensors, answers: Tensors, columns: Sequence[str] | None, head: Head | None
) -> Signature:
    inputs = tuple(
        TensorSpec(name, _datatype(values), _shape(values.shape, network.varying.get(name, ())))
        for name, values in rows.items()
    )
    if columns is not None:
        inputs = (_with_columns(inputs, columns),)
    if head is not None:
        return Signature(inputs, _headed_specs(head, head.apply(answers[head.output]), answers[head.output]))
    other = _other_answers(network, rows)
    outputs = tuple(
        TensorSpec(
            name,
            _datatype(values),
            (
                -1,
                *(
                    was if was == now else -1
                    for was, now in zip(values.shape[1:], other[name][1:], strict=True)
                ),
            ),
            tuple(network.columns.get(name, ())),
        )
        for name, values in answers.items()
    )
    return Signature(inputs, outputs)


def _other_answers(network: Network, rows: Tensors) -> dict[str, tuple[int, ...]]:
    """The shapes of the answers to rows of another length: what differs, varies."""
    if network.varying:
        name, axes = next(iter(network.varying.items()))
        rows = stretched(repeated(rows, 2), network.varying, rows[name].shape[axes[0]] + 1)
    return {name: values.shape for name, values in network.ask(rows).items()}


def _shape(shape: tuple[int, ...], varying: Sequence[int]) -> tuple[int, ...]:
    return (-1, *(-1 if axis in varying else size for axis, size in enumerate(shape[1:], 1)))


def _with_columns(inputs: tuple[TensorSpec, ...], columns: Sequence[str]) -> TensorSpec:
    if len(inputs) > 1 or len(inputs[0].shape) != 2 or inputs[0].shape[1] != len(columns):
        raise Malformed(
            f"{len(columns)} column names for a network that takes "
            f"{', '.join(f'{spec.name} {list(spec.shape)}' for spec in inputs)}; they name those of a matrix"
        )
    spec = inputs[0]
    return TensorSpec(spec.name, spec.datatype, spec.shape, tuple(map(str, columns)))


def _headed_specs(head: Head, headed: Tensors, raw: Array) -> tuple[TensorSpec, ...]:
    probabilities = TensorSpec(
        PROBABILITIES, _datatype(raw), (-1, len(head.labels)), tuple(map(str, head.labels))
    )
    if not head.single:
        return (probabilities,)
    datatype = DataType.INT64 if head.numbered else DataType.BYTES
    return (TensorSpec(next(iter(headed)), datatype, (-1,)), probabilities)


def _datatype(values: Array) -> DataType:
    found = _DATATYPES.get(values.dtype)
    if found is None:
        raise Malformed(f"the sample holds {values.dtype}, which cannot travel; cast it")
    return found


def _told(rows: Tensors, row: int) -> str:
    told = []
    for name, values in rows.items():
        few = [f"{value:.6g}" for value in values[row].ravel()[:12].tolist()]
        more = f", … ({values[row].size} numbers)" if values[row].size > len(few) else ""
        told.append(f"{name}=[{', '.join(few)}{more}]")
    return ", ".join(told)

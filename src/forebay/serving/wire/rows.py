"""The plain door: rows in, rows out, as people write them. Both ends.

{"rows": [[5.1, 3.5], …]}   {"records": [{"length": 5.1, "width": 3.5}, …]}
[[5.1, 3.5], …]             [{"length": 5.1, …}, …]      one row: [5.1, 3.5]   {"length": 5.1, …}

→ {"model": "iris", "version": 1, "rows": [{"label": "setosa", "probabilities": {"setosa": 0.98, …}}, …]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import orjson

from forebay.core import Signature, Tensors
from forebay.core.errors import ForebayError, Malformed, message_for
from forebay.serving.wire.call import Answer, Call
from forebay.serving.wire.columns import Plan, plan_for, tensor_from
from forebay.serving.wire.document import LISTS, OBJECTS, plain, read_document
from forebay.serving.wire.row_texts import template_for

_HOW = 'send {"rows": [[…], …]} or {"records": [{"column": value, …}, …]}'


# --- requests, as a server reads them ---


def decode_request(body: bytes, signature: Signature, model: str, version: str | None) -> Call:
    """The call in *body*, its rows laid out as *signature* wants them; raises `Malformed`."""
    plan = plan_for(signature)
    if not plan.takes_rows:
        raise Malformed(f"the model {model!r} does not take rows; ask it at /v2/models/{model}/infer")
    inputs = read_document(body, lambda document: _inputs_from(document, plan))
    bf16 = tuple(spec.name for spec in signature.inputs if spec.datatype == "BF16")
    return Call(model, inputs, version, bf16=bf16)


def _inputs_from(document: Any, plan: Plan) -> Tensors:
    if isinstance(document, LISTS):
        return _from_list(document, plan)
    if not isinstance(document, OBJECTS):
        raise Malformed(f"this is neither rows nor records; {_HOW}")
    keys = list(document)
    if "rows" not in keys and "records" not in keys:
        return from_records([plain(document)], plan)
    if len(keys) > 1:
        raise Malformed(f"'rows' or 'records' stands alone in the request, and it has {keys[:9]}; {_HOW}")
    items = document[keys[0]]
    if not isinstance(items, LISTS):
        raise Malformed(f"{keys[0]!r} is a list; {_HOW}")
    return from_items(items, plan)


def _from_list(items: Any, plan: Plan) -> Tensors:
    """A bare list: rows, records, or one row whose values stand in it."""
    if len(items) and not isinstance(items[0], (*LISTS, *OBJECTS)) and len(plan.columns) > 1:
        return _from_rows([plain(items)], plan)
    return from_items(items, plan)


def from_items(items: Any, plan: Plan) -> Tensors:
    """Inputs from a list of rows, records, or bare values of a lone input; raises `Malformed`."""
    if not len(items):
        raise Malformed(f"there is no row in the request; {_HOW}")
    if isinstance(items[0], OBJECTS):
        return from_records(plain(items), plan)
    if plan.single is not None and plan.single.datatype != "BYTES":
        try:
            return {plan.single.name: tensor_from(plan.single, items)}
        except Malformed:
            if not plan.columns[0].scalar:
                raise
            # What is not quite numbers may still be a table; and if not, its columns say it better.
    return _from_rows(plain(items), plan)


def _from_rows(rows: list[Any], plan: Plan) -> Tensors:
    width = len(plan.columns)
    if width == 1:  # a row of one value may be that value
        rows = [row if isinstance(row, list) and plan.columns[0].scalar else [row] for row in rows]
    for number, row in enumerate(rows):
        if not isinstance(row, list):
            raise Malformed(f"row {number} is no list of values; {_HOW}")
        if len(row) != width:
            raise plan.refuse_width(len(row), number)
    return plan.tensors_from(list(zip(*rows, strict=True)))


def from_records(records: list[Any], plan: Plan) -> Tensors:
    """Inputs from a list of objects, a value for each column in each; raises `Malformed`."""
    whole = plan.single.name if plan.single is not None else ""
    if whole not in plan.positions and all(
        isinstance(record, dict) and [*record] == [whole] for record in records
    ):
        return from_items([record[whole] for record in records], plan)
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise Malformed(f"row {number} is no record, and the rows before it are; {_HOW}")
        if len(record) != len(plan.names):
            raise _refuse_record(record, plan, number)
    try:
        return plan.tensors_from([[record[name] for record in records] for name in plan.names])
    except KeyError:
        number, record = next(
            (number, record)
            for number, record in enumerate(records)
            if record.keys() != plan.positions.keys()
        )
        raise _refuse_record(record, plan, number) from None


def _refuse_record(record: dict[str, Any], plan: Plan, number: int) -> Malformed:
    return plan.refuse_names(list(record), number)


# --- answers, as a server writes them ---


def encode_answer(answer: Answer, signature: Signature) -> bytes:
    """The outputs row by row: an object for an output with columns, a scalar or nested lists otherwise.

    What JSON cannot say becomes null: NaN and infinities. Raises `Unsupported` for strings that are no
    UTF-8, and `Broken` for an answer that does not keep to *signature*.
    """
    version: str | int | None = answer.version
    if answer.version is not None and answer.version.isdecimal():
        version = int(answer.version)
    start = orjson.dumps({"model": answer.model, "version": version, "rows": []})[:-2]
    return b"".join((start, template_for(signature).rows_of(answer.outputs), b"]}"))


def encode_error(error: BaseException) -> bytes:
    """Every failure at the plain door; of an unforeseen one only that there was one."""
    code = error.code if isinstance(error, ForebayError) else ForebayError("").code
    message = message_for(error).encode(errors="replace").decode()
    return orjson.dumps({"error": {"code": code, "message": message}})


# --- the client's end ---


class RowsAnswer(msgspec.Struct, frozen=True):
    """What the plain door answers: one object of outputs for each row."""

    model: str
    version: int | str | None
    rows: list[dict[str, Any]]


class _Error(msgspec.Struct):
    code: str
    message: str


class _ErrorBody(msgspec.Struct):
    error: _Error


_answers = msgspec.json.Decoder(RowsAnswer)
_errors = msgspec.json.Decoder(_ErrorBody)


def encode_request(data: Any) -> bytes:
    """Rows as a body: a list of lists or of mappings, one mapping, a NumPy array, a pandas or Polars frame.

    NaN, None and missing values of the frames become null. Raises `Malformed` for what is no table.

    >>> encode_request([{"length": 5.1, "width": float("nan")}])
    b'{"records":[{"length":5.1,"width":null}]}'
    """
    items = _items_of(data)
    first = items[0] if items else None
    body: Any = items
    if isinstance(first, Mapping):
        body = {"records": items}
    elif isinstance(first, Sequence | np.ndarray) and not isinstance(first, str | bytes):
        body = {"rows": items}
    try:  # a bare list is one row, or one value for each row: the signature decides
        return orjson.dumps(body, default=_said, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise Malformed(f"these rows cannot be written as JSON: {error}") from error


def _items_of(data: Any) -> list[Any]:
    if isinstance(data, Mapping):
        return [data]
    if hasattr(data, "to_dicts"):  # Polars
        return list(data.to_dicts())
    if hasattr(data, "to_dict") and hasattr(data, "columns"):  # pandas
        return list(data.to_dict("records"))
    if isinstance(data, np.ndarray) and data.dtype.names:
        return [dict(zip(data.dtype.names, row, strict=True)) for row in data.tolist()]
    if isinstance(data, np.ndarray) or hasattr(data, "__array__"):
        array = np.asarray(data)
        return list(
            array.astype(array.dtype.newbyteorder("=")) if array.dtype.kind in "iufb" else array.tolist()
        )
    return list(data)


def _said(value: Any) -> Any:
    """What orjson does not know: missing values of pandas, arrays in pieces, big-endian numbers."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is neither a number nor text")


def decode_answer(body: bytes) -> RowsAnswer:
    """The answer in *body*; raises `Malformed`."""
    try:
        return _answers.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(f"this is no answer of a model: {error}; is this a node's address?") from error


def decode_error(body: bytes) -> tuple[str, str] | None:
    """Code and message of an error body; None if it is none."""
    try:
        error = _errors.decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return error.code, error.message

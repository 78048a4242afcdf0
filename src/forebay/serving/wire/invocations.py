"""MLflow's scoring protocol, which SageMaker, Databricks and Azure ML can speak, too. Both ends.

    application/json   {"dataframe_split": {"columns": […], "data": [[…], …]}}
                       {"dataframe_records": [{…}, …]}
                       {"instances": [row, …]} | {"inputs": tensor | {name: tensor}}
    text/csv           a row a line, under a line of column names or without one

→ {"predictions": [row, …]}
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import orjson

from forebay.core import Signature, Tensors
from forebay.core.errors import Malformed, UnknownMedia
from forebay.serving.wire.call import Answer, Call
from forebay.serving.wire.columns import Plan, plan_for
from forebay.serving.wire.document import LISTS, OBJECTS, plain, read_document
from forebay.serving.wire.instances import checked_output, from_inputs, from_instances, tensor_text, unpacked
from forebay.serving.wire.rows import from_records
from forebay.serving.wire.tfs import call_of, predictions_text

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs", "input_data")
"""`input_data` is what Azure ML calls a split data frame, or rows."""
_DIGITS = 40


# --- requests, as a server reads them ---


def decode_request(
    body: bytes, content_type: bytes | None, signature: Signature, model: str, version: str | None
) -> Call:
    """The call in *body*; raises `Malformed`, and `UnknownMedia` for what is neither JSON nor CSV."""
    if _kind_of(content_type) == "text/csv":
        inputs = _from_csv(body, signature)
    else:
        inputs = read_document(body, lambda document: _from_document(document, signature))
    return call_of(inputs, signature, model, version)


def _kind_of(content_type: bytes | None) -> str:
    said = "application/json" if content_type is None else content_type.decode("latin-1").lower()
    kind, *parameters = (part.strip() for part in said.split(";"))
    if kind not in ("application/json", "text/csv") or parameters not in ([], ["charset=utf-8"]):
        raise UnknownMedia(
            f"the content type {said[:80]!r} is not read here; use application/json or text/csv"
        )
    return kind


def _from_document(document: Any, signature: Signature) -> Tensors:
    keys = list(document) if isinstance(document, OBJECTS) else []
    forms = [key for key in keys if key in _FORMS]
    if len(forms) != 1:
        raise Malformed(f"the body is a JSON object with exactly one of {', '.join(_FORMS[:4])}")
    if "params" in keys and len(document["params"] or ()):
        raise Malformed("this model takes no 'params'; leave them out")
    form = forms[0]
    value = document[form]
    if form == "instances" or (form == "input_data" and isinstance(value, LISTS)):
        return from_instances(value, signature)
    if form == "inputs":
        return from_inputs(value, signature)
    if form == "dataframe_records":
        return _from_table(unpacked(plain(value)), signature)
    return _from_split(unpacked(plain(value)), signature)


def _from_split(frame: Any, signature: Signature) -> Tensors:
    columns, data = (frame.get("columns"), frame.get("data")) if isinstance(frame, dict) else (None, None)
    if not isinstance(data, list) or not isinstance(columns, list | None):
        raise Malformed('a split data frame is {"columns": […], "data": [[…], …]}')
    if columns is None or columns == list(range(len(columns))):  # a frame made of an array has no names
        return from_instances(data, signature)
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            raise Malformed(f"row {number} has not one value for each of the {len(columns)} columns")
    return _from_table([dict(zip(map(str, columns), row, strict=True)) for row in data], signature)


def _from_table(records: Any, signature: Signature) -> Tensors:
    """Records with at least the columns that the model takes; the protocol says to pass over others."""
    if not isinstance(records, list) or not records or not all(isinstance(each, dict) for each in records):
        raise Malformed("records are a list of objects, with a row in it")
    plan = plan_for(signature)
    tensors = [spec.name for spec in signature.inputs]
    names: Sequence[str] = plan.names
    if not records[0].keys() >= set(names) and records[0].keys() >= set(tensors):
        return from_instances([_only(tensors, record) for record in records], signature)
    return from_records([_only(names, record) for record in records], plan)


def _only(names: Sequence[str], record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in names} if record.keys() > set(names) else record


def _from_csv(body: bytes, signature: Signature) -> Tensors:
    plan = plan_for(signature)
    if not plan.takes_rows or not all(column.scalar for column in plan.columns):
        raise Malformed("this model does not take a table; send JSON")
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode(), newline=""), strict=True) if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise Malformed(f"the body is no CSV: {error}") from error
    names: Sequence[str] = plan.names
    if lines and not plan.positions.keys().isdisjoint(lines[0]):
        names = lines.pop(0)
    if not lines:
        raise Malformed("there is no row in the CSV")
    return _from_table([_record(names, line, number, plan) for number, line in enumerate(lines)], signature)


def _record(names: Sequence[str], line: Sequence[str], number: int, plan: Plan) -> dict[str, Any]:
    if len(line) != len(names):
        raise plan.refuse_width(len(line), number)
    return {name: _cell(text, name, plan) for name, text in zip(names, line, strict=True)}


def _cell(text: str, name: str, plan: Plan) -> Any:
    """A cell as its column has it: an empty one is missing, and no number stays text, to be refused."""
    position = plan.positions.get(name)
    if not text:
        return None
    if position is None or plan.columns[position].form.datatype == "BYTES":
        return text
    if plan.columns[position].form.datatype == "BOOL" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if text.strip().lstrip("+-").isdecimal() and len(text) < _DIGITS else float(text)
    except ValueError:
        return text


# --- answers, as a server writes them ---


def encode_answer(answer: Answer, signature: Signature) -> bytes:
    """Row by row, or tensor by tensor where the outputs have no rows; raises `Broken`."""
    if signature.batches:
        return b'{"predictions":' + predictions_text(signature, answer.outputs) + b"}"
    pairs = (
        orjson.dumps(spec.name) + b":" + tensor_text(checked_output(spec, answer.outputs))
        for spec in signature.outputs
    )
    return b'{"predictions":{' + b",".join(pairs) + b"}}"


# --- the client's end ---


def encode_split(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A table as `dataframe_split`."""
    return orjson.dumps({"dataframe_split": {"columns": list(columns), "data": [list(row) for row in rows]}})


def encode_csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A table as CSV; None is an empty cell."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    return text.getvalue().encode()


def decode_answer(body: bytes) -> Any:
    """The predictions in an answer, plain; raises `Malformed`."""

    def predictions(document: Any) -> Any:
        if not isinstance(document, OBJECTS) or "predictions" not in list(document):
            raise Malformed("an answer has 'predictions'; is this a scoring server?")
        return plain(document["predictions"])

    return read_document(body, predictions)

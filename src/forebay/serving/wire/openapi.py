"""The plain door to one model, as OpenAPI 3.1: its own columns, its own outputs, and a call that works."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from forebay.core import Array, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.wire.columns import Column, plan_for
from forebay.serving.wire.datatypes import BF16, FORMS, bf16_to_float32
from forebay.serving.wire.row_texts import width_of

Schema = dict[str, Any]
_REFUSALS = {
    "400": "The rows are not what the model takes; the message names the row and the column.",
    "401": "No key was shown, or one that is unknown, expired or revoked.",
    "403": "The key may not ask this model, by this protocol, from there.",
    "404": "No such model, or version of it, is deployed.",
    "413": "The body is too large.",
    "429": "The queue is full, or a limit is used up; `Retry-After` says when to come back.",
    "502": "What ran the model died; it is started again, and the call is safe to repeat.",
    "503": "The model is not ready yet; `Retry-After` says when to come back.",
    "504": "It took longer than a request may wait; the call is safe to repeat.",
}


def described(
    model: str, version: int, release: str, path: str, signature: Signature, row: Tensors | None
) -> dict[str, Any]:
    """The document of `POST` *path*; *row* are inputs of one row that the model takes, if one is known.

    Raises `Malformed` for a model that does not take rows.
    """
    plan = plan_for(signature)
    if not plan.takes_rows:
        raise Malformed(f"the model {model!r} does not take rows; GET /v2/models/{model} says what it takes")
    values = (
        [_zero(column) for column in plan.columns] if row is None else _values(plan.columns, signature, row)
    )
    named = all(column.scalar for column in plan.columns) and plan.names != (signature.inputs[0].name,)
    example: dict[str, Any] = {"rows": values if _is_bare(plan.columns) else [values]}
    if named:
        example = {"records": [dict(zip(plan.names, values, strict=True))]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": model,
            "version": str(version),
            "description": f"Predictions of version {version} of {model}, served by Forebay {release}.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": {path: {"post": _operation(example)}},
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key."}},
            "schemas": {
                "Request": {
                    "anyOf": [_only("records", _record(plan.columns)), _only("rows", _row(plan.columns))]
                },
                "Answer": _answer(model, signature),
                "Error": _error(),
            },
        },
    }


def _operation(example: dict[str, Any]) -> dict[str, Any]:
    refused = {
        status: {"description": told, "content": {"application/json": {"schema": _to("Error")}}}
        for status, told in _REFUSALS.items()
    }
    return {
        "operationId": "predict",
        "summary": "Ask for predictions: an answer for each row, in their order.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _to("Request"), "example": example}},
        },
        "responses": {
            "200": {
                "description": "The predictions.",
                "content": {"application/json": {"schema": _to("Answer")}},
            },
            **refused,
        },
    }


def _to(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _only(name: str, item: Schema) -> Schema:
    return _object({name: {"type": "array", "items": item, "minItems": 1}})


def _object(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _record(columns: tuple[Column, ...]) -> Schema:
    return _object({column.name: _of_column(column) for column in columns})


def _row(columns: tuple[Column, ...]) -> Schema:
    if _is_bare(columns):
        return _of_column(columns[0])
    schemas = [_of_column(column) for column in columns]
    found: Schema = {"type": "array", "minItems": len(columns), "maxItems": len(columns)}
    if all(one == other for one, other in pairwise(schemas)):
        return found | {"items": schemas[0]}
    return found | {"prefixItems": schemas}


def _is_bare(columns: tuple[Column, ...]) -> bool:
    """Whether a row is one value that is a list itself, as an image is."""
    return len(columns) == 1 and not columns[0].scalar


def _of_column(column: Column) -> Schema:
    spec = column.spec
    schema = _scalar(spec.datatype, missing=spec.nan)
    return schema if column.scalar else _nested(schema, spec.shape[1:])


def _scalar(datatype: DataType, *, missing: bool) -> Schema:
    if datatype is DataType.BYTES:
        return {"type": "string"}
    if datatype is DataType.BOOL:
        return {"type": "boolean"}
    if datatype.floating:
        return {"type": ["number", "null"] if missing else "number"}
    limits = np.iinfo(datatype.dtype)
    return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}


def _nested(schema: Schema, shape: tuple[int, ...]) -> Schema:
    for size in reversed(shape):
        schema = {"type": "array", "items": schema}
        if size >= 0:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _answer(model: str, signature: Signature) -> Schema:
    row = _object({spec.name: _of_output(spec, signature.batches) for spec in signature.outputs})
    return _object(
        {
            "model": {"type": "string", "const": model},
            "version": {"type": "integer"},
            "rows": {"type": "array", "items": row},
        }
    )


def _of_output(spec: TensorSpec, batches: bool) -> Schema:
    scalar = _scalar(spec.datatype, missing=True)
    width = width_of(spec) if batches else 0
    if not width:
        return _nested(scalar, spec.shape[1:] if batches else spec.shape)
    if len(spec.columns) == width:
        return _object(dict.fromkeys(spec.columns, scalar))
    return scalar


def _error() -> Schema:
    return _object({"error": _object({"code": {"type": "string"}, "message": {"type": "string"}})})


def _values(columns: tuple[Column, ...], signature: Signature, row: Tensors) -> list[Any]:
    """The first row of the tensors in *row*, a value for each column."""
    whole = {column.spec.name for column in columns if not column.scalar}
    found: list[Any] = []
    for spec in signature.inputs:
        array = row[spec.name][:1]
        said = _said(bf16_to_float32(array) if FORMS[spec.datatype] is BF16 else array)
        found += said.tolist() if spec.name in whole else said.ravel().tolist()
    return found


def _said(array: Array) -> Array:
    """As JSON: a float32 as people write it (5.1, not 5.099999904632568), null for NaN, text for bytes."""
    said = np.empty(array.shape, dtype=object)
    for place, value in np.ndenumerate(array):
        if isinstance(value, bytes):
            said[place] = value.decode(errors="replace")
        elif isinstance(value, np.floating):
            said[place] = float(str(value)) if np.isfinite(value) else None
        else:
            said[place] = value.item() if isinstance(value, np.generic) else value
    return said


def _zero(column: Column) -> Any:
    spec = column.spec
    zero: Any = "" if spec.datatype is DataType.BYTES else False if spec.datatype is DataType.BOOL else 0
    if column.scalar:
        return zero
    return np.full([max(size, 1) for size in spec.shape[1:]], zero, dtype=object).tolist()

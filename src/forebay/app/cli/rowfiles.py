"""Rows from a file or from standard input, as a node takes them."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import msgspec

from forebay.client.inference import sample_rows
from forebay.client.rows import Rows, rows_of
from forebay.core import DataType, Signature
from forebay.core.errors import Malformed
from forebay.core.extras import need


def rows_in(file: str, texts: frozenset[str] = frozenset()) -> Rows:
    """Read *file* by its ending, `-` by how it begins; *texts* are the columns that are never numbers."""
    if file == "-":
        text = sys.stdin.read()
        return json_rows(text, "the input") if text.lstrip()[:1] in ("{", "[") else csv_rows(text, texts)
    path = Path(file)
    match path.suffix.lower():
        case ".csv":
            return csv_rows(path.read_text("utf-8-sig"), texts)
        case ".json" | ".jsonl" | ".ndjson":
            return json_rows(path.read_text("utf-8"), path.name)
        case ".parquet" | ".pq":
            return rows_of(need("polars", "sklearn").read_parquet(path))
    raise Malformed(f"{path.name} is no .csv, .json, .jsonl or .parquet file; save the rows as one of them")


def json_rows(text: str, what: str) -> Rows:
    """A list of rows or records, one record a line, the node's own body, or an OIP v2 request."""
    try:
        found: Any = msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        try:
            found = [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
        except msgspec.MsgspecError:
            raise Malformed(f"{what} is no JSON: {error}") from error
    if isinstance(found, dict):
        if "inputs" in found:
            return sample_rows(text.encode())
        for word in ("rows", "records"):
            if isinstance(found.get(word), list):
                return rows_of(found[word])
    return rows_of(found)


def csv_rows(text: str, texts: frozenset[str]) -> Rows:
    """Records by the header's names. A column whose cells are all numbers holds numbers; empty is missing."""
    reader = csv.reader(io.StringIO(text))
    header = next(reader, None)
    rows = [row for row in reader if row]
    if not header or not rows:
        raise Malformed("the CSV needs a header and at least one row")
    ragged = next((i for i, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if ragged is not None:
        raise Malformed(
            f"line {ragged} of the CSV has {len(rows[ragged - 2])} cells, the header {len(header)}"
        )
    columns = [
        [cell or None for cell in column] if name in texts else _column(column)
        for name, column in zip(header, zip(*rows, strict=True), strict=True)
    ]
    return Rows("records", [dict(zip(header, row, strict=True)) for row in zip(*columns, strict=True)])


def text_columns(signature: Signature) -> frozenset[str]:
    """The columns whose values are texts."""
    inputs = [spec for spec in signature.inputs if spec.datatype is DataType.BYTES]
    return frozenset(name for spec in inputs for name in (spec.name, *spec.columns))


def _column(cells: tuple[str, ...]) -> list[Any]:
    try:
        return [_number(cell) for cell in cells]
    except ValueError:
        return [cell or None for cell in cells]


def _number(cell: str) -> int | float | None:
    if not cell.strip():
        return None
    try:
        return int(cell)
    except ValueError:
        return float(cell)

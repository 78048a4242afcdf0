"""What the sources of tabular models share: rows in, label and probabilities or a number out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forebay.core import ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.edges import edges_of
from forebay.workshop.convert.graph import datatypes_of_outputs
from forebay.workshop.convert.labels import with_labels
from forebay.workshop.convert.predictor import Predictor
from forebay.workshop.convert.sample import JOINED, Layout, as_table, layout_of, take

_PARITY_ROWS = 10_000
LABEL, PROBABILITIES, PREDICTION = "label", "probabilities", "prediction"


@dataclass(frozen=True, slots=True)
class Work:
    """One conversion on its way: the rows, how they travel, and what the model says to the first of them."""

    predictor: Predictor
    table: Any
    layout: Layout
    named: bool
    first: Tensors


def begin(predictor: Predictor, given: Given, names: Sequence[str] | None, *, by_name: bool) -> Work:
    """Read the sample and ask the model about a row of it.

    *names* are the columns' names that the model remembers; *by_name* means that it picks them by
    name. Raises `Malformed` for rows that are none, or that the model refuses.
    """
    if given.sample is None:
        raise Malformed(
            "real rows are needed to prove the conversion with; pass sample=X_test[:100] or --sample ROWS.csv"
        )
    table = as_table(given.sample)
    if not len(table):
        raise Malformed("the sample is empty; give some real rows, a hundred is a good number")
    table = take(_without_others(table, names), range(min(len(table), _PARITY_ROWS)))
    known = given.columns
    if known is None and not hasattr(table, "columns"):
        known = names
    layout = layout_of(table, known, by_name=by_name)
    named = known is not None or hasattr(table, "columns")
    return Work(predictor, table, layout, named, predictor.first_answer(take(table, [0])))


def _without_others(table: Any, names: Sequence[str] | None) -> Any:
    """The columns that the model knows, in its order, of a frame that has all of them and others as well."""
    if names is None or not hasattr(table, "columns"):
        return table
    have, want = [str(name) for name in table.columns], [str(name) for name in names]
    if not set(want) <= set(have):  # LightGBM writes no spaces
        have = [name.replace(" ", "_") for name in have]
    if have == want or not set(want) <= set(have) or len(set(have)) < len(have):
        return table
    return table[[table.columns[have.index(name)] for name in want]]


def finish(work: Work, proto: Any, origin: str, given: Given) -> Draft:
    """The draft of an ONNX model that takes what the layout says and answers what the predictor does."""
    predictor = work.predictor
    if given.labels is not None:
        predictor = with_labels(predictor, proto, given.labels)
    signature = Signature(_inputs(work), _outputs(work, proto, predictor.classes))
    info = ArtifactInfo(signature, task=predictor.task)
    return Draft(
        origin=origin,
        files={info.model: proto.SerializeToString(deterministic=True)},
        info=info,
        rows=work.table,
        ask=predictor.answer,
        tensors=work.layout.tensors,
        edges=edges_of(work.table, one_by_one=work.layout.joined is None),
    )


def outputs_of(work: Work) -> dict[str, tuple[DataType, list[int | None]]]:
    """Datatype and shape of each output, for who writes the graph."""
    found: dict[str, tuple[DataType, list[int | None]]] = {}
    for name, values in work.first.items():
        shape = values.shape[1:] if name == LABEL or values.ndim > 1 else (1,)
        texts = name == LABEL and all(isinstance(value, str) for value in work.predictor.classes)
        numbers = DataType.INT64 if name == LABEL else DataType.FP32
        found[name] = (DataType.BYTES if texts else numbers, [None, *shape])
    return found


def _inputs(work: Work) -> tuple[TensorSpec, ...]:
    layout = work.layout
    if layout.joined is not None:
        columns = layout.names if work.named else ()
        return (TensorSpec(JOINED, layout.joined, (-1, len(layout.names)), columns),)
    return tuple(
        TensorSpec(name, datatype, (-1, 1))
        for name, datatype in zip(layout.names, layout.datatypes, strict=True)
    )


def _outputs(work: Work, proto: Any, classes: Sequence[Any]) -> tuple[TensorSpec, ...]:
    datatypes = datatypes_of_outputs(proto.graph)
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in proto.graph.output}
    columns = tuple(map(_class_name, classes))
    return tuple(
        TensorSpec(
            name,
            datatypes[name],
            (-1, 1) if values.ndim == 1 and ranks[name] == 2 else (-1, *values.shape[1:]),
            columns if name == PROBABILITIES else (),
        )
        for name, values in work.first.items()
    )


def _class_name(value: Any) -> str:
    """As the label tensor says it: ONNX knows whole numbers and texts, no booleans."""
    return value if isinstance(value, str) else str(int(value))

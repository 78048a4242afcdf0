"""Fewer attention heads: those whose absence moves the answers least are cut out of every projection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.graphs import checked, consumers, put_weights, weights_of
from forebay.workshop.compress.learning import Lessons, teach
from forebay.workshop.compress.steps.running import floats_of

_RATE = 5e-4
_ROWS = 64
_BETWEEN = frozenset({"Transpose", "Reshape", "Mul", "Div", "Identity", "Cast", "Dropout", "Where", "Add"})


class Projection(NamedTuple):
    """x·W (+ b), seen as heads: its product, its sum with a bias if there is one, the node that splits it."""

    product: Any
    bias: Any | None
    split: Any


class Attention(NamedTuple):
    """Queries, keys and values, and where their mixture is put together and projected again."""

    heads: int
    width: int
    parts: tuple[Projection, ...]
    joined: Any
    out: Any


def fewer_heads(share: float, *, tuned: bool) -> Callable[[Draft, Bench], Draft]:
    """Keep the *share* of each attention's heads that matter most (Michel et al. 2019), then fine-tune."""

    def make(draft: Draft, bench: Bench) -> Draft:
        found = attentions(draft.proto())
        if not found:
            raise Unsupported("it has no attention with heads that can be told apart")
        thin = cut(draft, _best(draft, found, bench, share))
        if not tuned:
            return thin
        return teach(thin, bench, Lessons.of(bench), epochs=bench.epochs, rate=_RATE)

    return make


def _best(draft: Draft, found: list[Attention], bench: Bench, share: float) -> list[list[int]]:
    """The heads to keep of each attention."""
    rows = bench.calibration(_ROWS)
    exact = floats_of(draft, rows)
    kept = []
    for place, attention in enumerate(found):
        count = max(1, round(attention.heads * share))
        if count == attention.heads:
            raise Unsupported(f"it has {attention.heads} heads, of which none can go")
        harm = [
            float(np.linalg.norm(floats_of(_silenced(draft, place, head), rows) - exact))
            for head in range(attention.heads)
        ]
        kept.append(sorted(sorted(range(attention.heads), key=lambda head: (-harm[head], head))[:count]))
    return kept


def _silenced(draft: Draft, place: int, head: int) -> Draft:
    """The same where nobody listens to one head."""
    proto = draft.proto()
    attention = attentions(proto)[place]
    matrix = weights_of(proto)[attention.out.input[1]].copy()
    matrix[head * attention.width : (head + 1) * attention.width] = 0
    attention.out.input[1] = _added(proto, attention.out, "silenced", matrix)
    return draft.with_proto(proto)


def cut(draft: Draft, kept: list[list[int]]) -> Draft:
    """Only these heads of each attention; a weight that several share is copied, not changed."""
    proto = draft.proto()
    for attention, heads in zip(attentions(proto), kept, strict=True):
        weights = weights_of(proto)
        columns = np.concatenate(
            [np.arange(head * attention.width, (head + 1) * attention.width) for head in heads]
        )
        for part in attention.parts:
            _replace(proto, part.product, 1, weights[part.product.input[1]][:, columns])
            if part.bias is not None:
                place = 0 if part.bias.input[0] in weights else 1
                _replace(proto, part.bias, place, weights[part.bias.input[place]][columns])
            sizes = weights[part.split.input[1]].copy()
            sizes[-2] = len(heads)
            _replace(proto, part.split, 1, sizes)
        _replace(proto, attention.out, 1, weights[attention.out.input[1]][columns])
        sizes = weights[attention.joined.input[1]].copy()
        sizes[-1] = len(columns)
        _replace(proto, attention.joined, 1, sizes)
    return draft.with_proto(checked(proto))


def _replace(proto: Any, node: Any, place: int, values: Array) -> None:
    node.input[place] = _added(proto, node, f"input{place}", values)


def _added(proto: Any, node: Any, what: str, values: Array) -> str:
    name = f"{node.output[0]}_{what}_of_heads"
    put_weights(proto, {name: values})
    return name


def attentions(proto: Any) -> list[Attention]:
    """Every softmax(Q·Kᵀ)·V of separate projections, as torch and transformers write them."""
    weights = weights_of(proto)
    by_output = {output: node for node in proto.graph.node for output in node.output}
    found = (_attention(proto, node, by_output, weights) for node in proto.graph.node)
    return [attention for attention in found if attention is not None]


def _attention(
    proto: Any, mix: Any, by_output: dict[str, Any], weights: dict[str, Array]
) -> Attention | None:
    softmax = _softmax(mix, by_output, weights)
    scores = None if softmax is None else _back(softmax.input[0], by_output, weights, {"MatMul"})
    end = _end(proto, mix, weights)
    if scores is None or end is None:
        return None
    names = (scores.input[0], scores.input[1], mix.input[1])
    parts = [_projection(name, by_output, weights) for name in names]
    splits = {tuple(weights[part.split.input[1]][-2:].tolist()) for part in parts if part is not None}
    if any(part is None for part in parts) or len(splits) != 1:
        return None
    heads, width = splits.pop()
    joined, out = end
    fits = weights[joined.input[1]][-1] == heads * width == len(weights[out.input[1]])
    return Attention(heads, width, tuple(filter(None, parts)), joined, out) if fits else None


def _softmax(mix: Any, by_output: dict[str, Any], weights: dict[str, Array]) -> Any | None:
    if mix.op_type != "MatMul" or any(name in weights for name in mix.input):
        return None
    return _back(mix.input[0], by_output, weights, {"Softmax"})


def _back(name: str, by_output: dict[str, Any], weights: dict[str, Array], wanted: set[str]) -> Any | None:
    """The nearest node of a *wanted* kind behind *name*, on a way that changes nothing but form and size."""
    waiting = [name]
    while waiting:
        node = by_output.get(waiting.pop(0))
        if node is None:
            continue
        if node.op_type in wanted:
            return node
        if node.op_type in _BETWEEN:
            first = node.input[:1] if node.op_type in ("Reshape", "Transpose") else node.input
            waiting.extend(each for each in first if each not in weights)
    return None


def _projection(name: str, by_output: dict[str, Any], weights: dict[str, Array]) -> Projection | None:
    """Back to the product with a weight; the last split into heads on the way is the one beside it."""
    split, bias = None, None
    while (node := by_output.get(name)) is not None:
        if node.op_type == "MatMul":
            known = node.input[1] in weights and weights[node.input[1]].ndim == 2
            return Projection(node, bias, split) if known and split is not None else None
        if node.op_type == "Reshape" and node.input[1] in weights and len(weights[node.input[1]]) == 4:
            split = node
        if node.op_type == "Add":
            bias = node
        if node.op_type not in _BETWEEN - {"Where"}:
            return None
        name = next((each for each in _first(node) if each not in weights), "")
    return None


def _first(node: Any) -> Iterable[str]:
    names: Iterable[str] = node.input[:1] if node.op_type in ("Reshape", "Transpose") else node.input
    return names


def _end(proto: Any, mix: Any, weights: dict[str, Array]) -> tuple[Any, Any] | None:
    """The node that joins the heads, and the product behind it."""
    here, joined = mix, None
    while True:
        readers = consumers(proto, here.output[0])
        if len(readers) != 1:
            return None
        here = readers[0]
        if here.op_type == "Reshape" and here.input[1] in weights:
            joined = here
        elif here.op_type == "MatMul" and here.input[1] in weights:
            return None if joined is None else (joined, here)
        elif here.op_type != "Transpose":
            return None

"""Fewer neurons and channels (structured pruning): smaller matrices that every backend runs faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.graphs import (
    PASSING,
    attributes,
    checked,
    consumers,
    is_output,
    plain_gemm,
    put_weights,
    weights_of,
)
from forebay.workshop.compress.learning import Lessons, teach

_FEWEST = 4
_RATE = 3e-3


class _Cut(NamedTuple):
    """One weight that shrinks with the neurons: its name, the axis, and how many entries each neuron has."""

    weight: str
    axis: int
    entries: int = 1


class _Chain(NamedTuple):
    """Neurons between two weights: `cuts[0]` makes them, the last one reads them."""

    neurons: int
    cuts: tuple[_Cut, ...]


def fewer_neurons(share: float) -> Callable[[Draft, Bench], Draft]:
    """Keep the *share* of each hidden layer's neurons with the largest weights in and out, then fine-tune."""

    def make(draft: Draft, bench: Bench) -> Draft:
        return teach(cut(draft, share), bench, Lessons.of(bench), epochs=bench.epochs, rate=_RATE)

    return make


def cut(draft: Draft, share: float) -> Draft:
    """Only the pruning, without the learning that has to follow."""
    proto = draft.proto()
    weights = weights_of(proto)
    chains = list(_chains(proto, weights))
    if not chains:
        raise Unsupported("no hidden layer stands between two weights without a branch")
    for chain in chains:
        kept = max(_FEWEST, round(chain.neurons * share))
        if kept < chain.neurons:
            _shrink(weights, chain, kept)
    put_weights(proto, {part.weight: weights[part.weight] for chain in chains for part in chain.cuts})
    return draft.with_proto(checked(proto))


def _chains(proto: Any, weights: dict[str, Array]) -> list[_Chain]:
    return [chain for node in proto.graph.node if (chain := _chain_from(proto, node, weights)) is not None]


def _chain_from(proto: Any, node: Any, weights: dict[str, Array]) -> _Chain | None:
    made = _maker(node, weights)
    if made is None or _shared(proto, made[0].weight):
        return None
    neurons = weights[made[0].weight].shape[made[0].axis]
    cuts, here = list(made), node.output[0]
    while True:
        readers = consumers(proto, here)
        if len(readers) != 1 or is_output(proto, here):
            return None
        reader = readers[0]
        end = _reader_cut(reader, here, weights, neurons)
        if end is not None:
            return None if _shared(proto, end.weight) else _Chain(neurons, (*cuts, end))
        passed = _passed(reader, here, weights, neurons)
        if passed is None:
            return None
        cuts.extend(passed)
        here = reader.output[0]


def _maker(node: Any, weights: dict[str, Array]) -> list[_Cut] | None:
    if len(node.input) < 2 or node.input[1] not in weights or weights[node.input[1]].dtype != np.float32:
        return None
    bias = [_Cut(node.input[2], 0)] if len(node.input) > 2 and node.input[2] in weights else []
    if plain_gemm(node) and all(weights[each.weight].ndim == 1 for each in bias):
        return [_Cut(node.input[1], 0 if attributes(node).get("transB") else 1), *bias]
    if node.op_type == "MatMul" and weights[node.input[1]].ndim == 2:
        return [_Cut(node.input[1], 1)]
    if node.op_type == "Conv" and attributes(node).get("group", 1) == 1:
        return [_Cut(node.input[1], 0), *bias]
    return None


def _passed(node: Any, here: str, weights: dict[str, Array], neurons: int) -> list[_Cut] | None:
    """What shrinks in a node that treats every neuron for itself; None when it does not."""
    if node.op_type in PASSING:
        return []
    if node.op_type == "Flatten" and attributes(node).get("axis", 1) == 1:
        return []
    if node.op_type == "Reshape" and node.input[1] in weights:
        shape = weights[node.input[1]]
        return [] if len(shape) == 2 and shape[1] == -1 else None
    if node.op_type == "BatchNormalization" and all(name in weights for name in node.input[1:]):
        return [_Cut(name, 0) for name in node.input[1:]]
    if node.op_type in ("Add", "Mul", "Sub"):
        other = node.input[1] if node.input[0] == here else node.input[0]
        if other in weights and weights[other].size == neurons and weights[other].shape[-1] == neurons:
            return [_Cut(other, weights[other].ndim - 1)]
    return None


def _reader_cut(node: Any, here: str, weights: dict[str, Array], neurons: int) -> _Cut | None:
    if len(node.input) < 2 or node.input[0] != here or node.input[1] not in weights:
        return None
    weight = weights[node.input[1]]
    if node.op_type == "Conv" and attributes(node).get("group", 1) == 1:
        return _Cut(node.input[1], 1)
    if plain_gemm(node) or (node.op_type == "MatMul" and weight.ndim == 2):
        axis = 1 if attributes(node).get("transB") else 0
        if weight.shape[axis] % neurons == 0:
            return _Cut(node.input[1], axis, weight.shape[axis] // neurons)
    return None


def _shared(proto: Any, name: str) -> bool:
    return len(consumers(proto, name)) > 1


def _shrink(weights: dict[str, Array], chain: _Chain, kept: int) -> None:
    norms = np.ones(chain.neurons)
    for part in (chain.cuts[0], chain.cuts[-1]):
        by_neuron = np.moveaxis(weights[part.weight], part.axis, 0).reshape(chain.neurons, -1)
        norms = norms * np.linalg.norm(by_neuron.astype(np.float64), axis=1)
    best = np.sort(np.argsort(-norms, kind="stable")[:kept])
    for part in chain.cuts:
        places = (best[:, None] * part.entries + np.arange(part.entries)).reshape(-1)
        weights[part.weight] = np.take(weights[part.weight], places, axis=part.axis)

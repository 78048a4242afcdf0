"""Fewer different weights, and fewer of them: sharing, and unstructured pruning with fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.graphs import checked, put_weights, weights_of
from forebay.workshop.compress.learning import Lessons, teach
from forebay.workshop.compress.steps.packing import Packer
from forebay.workshop.compress.steps.precision import need_weights

_LEAST = 2048
_RATE = 2e-3


def shared(draft: Draft, _bench: Bench) -> Draft:
    """Every large weight in 256 values of its own: a quarter of the file, computed in floats as before."""
    need_weights(draft)
    proto = draft.proto()
    large = _large(proto)
    if not large:
        raise Unsupported("it has no large weights")
    packer = Packer(proto)
    for name, values in large.items():
        packer.share(name, values)
    return draft.with_proto(checked(packer.done()))


def fewer_weights(share: float) -> Callable[[Draft, Bench], Draft]:
    """Keep the *share* of each large weight's numbers that are largest, fine-tune those, share values."""

    def make(draft: Draft, bench: Bench) -> Draft:
        need_weights(draft)
        proto = draft.proto()
        masks = {name: _largest(values, share) for name, values in _large(proto).items()}
        if not masks:
            raise Unsupported("it has no large weights")
        learned = teach(_masked(draft, masks), bench, Lessons.of(bench), epochs=bench.epochs, rate=_RATE)
        found, before = weights_of(learned.proto()), weights_of(proto)
        put_weights(proto, {name: values for name, values in found.items() if name in before})
        packer = Packer(proto)
        for name, mask in masks.items():
            packer.thin(name, np.where(mask, found[_free(name)], 0).astype(np.float32))
        return draft.with_proto(checked(packer.done()))

    return make


def _large(proto: Any) -> dict[str, Array]:
    """The weights that are worth it, by name; those that leave the graph as they are stay."""
    read = {name for node in proto.graph.node for name in node.input}
    return {
        name: values
        for name, values in weights_of(proto).items()
        if values.dtype == np.float32 and values.ndim > 1 and values.size >= _LEAST and name in read
    }


def _largest(values: Array, share: float) -> Array:
    sizes = np.abs(values).reshape(-1)
    kept = max(1, round(sizes.size * share))
    mask = np.zeros(sizes.size, dtype=bool)
    mask[np.argsort(-sizes, kind="stable")[:kept]] = True
    return mask.reshape(values.shape)


def _masked(draft: Draft, masks: dict[str, Array]) -> Draft:
    """The same where what is masked is zero and stays so: no gradient reaches it."""
    import onnx  # noqa: PLC0415 (heavy)

    proto = draft.proto()
    weights = weights_of(proto)
    nodes = []
    for name, mask in masks.items():
        put_weights(proto, {_free(name): weights[name], f"{name}_mask": mask})
        nodes.append(onnx.helper.make_node("Cast", [f"{name}_mask"], [f"{name}_ones"], to=1))
        nodes.append(onnx.helper.make_node("Mul", [_free(name), f"{name}_ones"], [f"{name}_thin"]))
        for node in proto.graph.node:
            for place, given in enumerate(node.input):
                if given == name:
                    node.input[place] = f"{name}_thin"
    old = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes, *old])
    return draft.with_proto(checked(proto))


def _free(name: str) -> str:
    return f"{name}_free"

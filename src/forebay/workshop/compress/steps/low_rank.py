"""Two thin matrices instead of a thick one (singular value decomposition), in the graph itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.graphs import attributes, checked, plain_gemm, put_weights, splice, weights_of
from forebay.workshop.compress.learning import Lessons, teach

_LEAST_RANK = 4
_RATE = 2e-3
_PAYS = 0.75


def low_rank(share: float) -> Callable[[Draft, Bench], Draft]:
    """Keep *share* of the ranks of every dense and convolution weight where that makes it smaller.

    A given rank and no threshold of energy: square matrices never pay by one.
    """

    def make(draft: Draft, _bench: Bench) -> Draft:
        proto = draft.proto()
        weights = weights_of(proto)
        done = 0
        for node in list(proto.graph.node):
            if len(node.input) > 1 and node.input[1] in weights:
                done += _factorised(proto, node, weights[node.input[1]], share)
        if not done:
            raise Unsupported(f"no weight becomes smaller with {share:.3g} of its ranks")
        return draft.with_proto(checked(proto))

    return make


def low_rank_tuned(share: float) -> Callable[[Draft, Bench], Draft]:
    """The same, and then a fine-tuning of both factors."""

    def make(draft: Draft, bench: Bench) -> Draft:
        thin = low_rank(share)(draft, bench)
        return teach(thin, bench, Lessons.of(bench), epochs=bench.epochs, rate=_RATE)

    return make


def _factorised(proto: Any, node: Any, weight: Array, share: float) -> bool:
    if weight.dtype != np.float32:
        return False
    if weight.ndim == 2 and (node.op_type == "MatMul" or plain_gemm(node)):
        matrix = weight.T if attributes(node).get("transB") else weight
        pair = _pair(matrix, share)
        return pair is not None and _dense(proto, node, *pair)
    if node.op_type == "Conv" and attributes(node).get("group", 1) == 1:
        pair = _pair(weight.reshape(len(weight), -1).T, share)
        return pair is not None and _convolution(proto, node, weight.shape, *pair)
    return False


def _pair(matrix: Array, share: float) -> tuple[Array, Array] | None:
    """[n, r] and [r, m] whose product is nearest to *matrix* [n, m] (Eckart, Young 1936); None if larger."""
    rows, columns = matrix.shape
    rank = max(_LEAST_RANK, round(min(rows, columns) * share))
    if rank * (rows + columns) > _PAYS * rows * columns:
        return None
    left, sizes, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    roots = np.sqrt(sizes[:rank])
    return (left[:, :rank] * roots).astype(np.float32), (roots[:, None] * right[:rank]).astype(np.float32)


def _dense(proto: Any, node: Any, left: Array, right: Array) -> bool:
    import onnx  # noqa: PLC0415 (heavy)

    name = node.output[0]
    put_weights(proto, {f"{name}_left": left, f"{name}_right": right})
    first = onnx.helper.make_node(
        "MatMul", [node.input[0], f"{name}_left"], [f"{name}_thin"], name=f"{name}_thin"
    )
    rest = [f"{name}_thin", f"{name}_right", *node.input[2:]]
    kind = "Gemm" if node.op_type == "Gemm" else "MatMul"
    splice(proto, node, [first, onnx.helper.make_node(kind, rest, [name], name=f"{name}_wide")])
    return True


def _convolution(proto: Any, node: Any, shape: tuple[int, ...], left: Array, right: Array) -> bool:
    """The kernel with few channels, then a 1x1 kernel to all of them."""
    import onnx  # noqa: PLC0415 (heavy)

    name = node.output[0]
    rank, ones = left.shape[1], (1,) * (len(shape) - 2)
    put_weights(
        proto,
        {
            f"{name}_left": left.T.reshape(rank, *shape[1:]),
            f"{name}_right": right.T.reshape(shape[0], rank, *ones),
        },
    )
    first = onnx.helper.make_node(
        "Conv", [node.input[0], f"{name}_left"], [f"{name}_thin"], name=f"{name}_thin", **attributes(node)
    )
    rest = [f"{name}_thin", f"{name}_right", *node.input[2:]]
    splice(proto, node, [first, onnx.helper.make_node("Conv", rest, [name], name=f"{name}_wide")])
    return True

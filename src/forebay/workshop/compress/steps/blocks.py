"""Fewer layers: residual blocks that change little are left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.graphs import checked, weights_of
from forebay.workshop.compress.learning import Lessons, teach
from forebay.workshop.compress.steps.running import floats_of

_RATE = 1e-3
_ROWS = 64


def fewer_blocks(share: float) -> Callable[[Draft, Bench], Draft]:
    """Leave out the *share* of the residual blocks whose absence moves the answers least, then fine-tune."""

    def make(draft: Draft, bench: Bench) -> Draft:
        blocks = residual_blocks(draft.proto())
        if len(blocks) < 2:
            raise Unsupported(f"it has {len(blocks)} residual blocks; with two or more, some may go")
        rows = bench.calibration(_ROWS)
        exact = floats_of(draft, rows)
        harm = {
            block: float(np.linalg.norm(floats_of(without(draft, [block]), rows) - exact)) for block in blocks
        }
        least = sorted(blocks, key=lambda block: (harm[block], block))[: max(1, round(len(blocks) * share))]
        return teach(without(draft, least), bench, Lessons.of(bench), epochs=bench.epochs, rate=_RATE)

    return make


def residual_blocks(proto: Any) -> dict[str, str]:
    """For each sum of a branch and what the branch started from: the sum, and the tensor it started from."""
    weights = weights_of(proto)
    by_output = {output: node for node in proto.graph.node for output in node.output}
    found = {}
    for node in proto.graph.node:
        if node.op_type != "Add" or any(name in weights for name in node.input):
            continue
        for start, branch in (tuple(node.input), tuple(reversed(node.input))):
            if _reaches(by_output, branch, start, node.output[0]):
                found[node.output[0]] = start
                break
    return found


def _reaches(by_output: dict[str, Any], branch: str, start: str, block: str) -> bool:
    """Whether everything in *branch* comes from *start*, with a weight of its own on the way."""
    waiting, seen, met = [branch], set(), False
    while waiting:
        name = waiting.pop()
        if name == start:
            met = True
        if name == start or name in seen or name not in by_output:
            continue
        seen.add(name)
        waiting.extend(by_output[name].input)
    kinds = {by_output[name].op_type for name in seen}
    inner = bool(kinds & {"MatMul", "Gemm", "Conv"})
    return met and inner and branch != start and not _passes(by_output, start, seen, block)


def _passes(by_output: dict[str, Any], start: str, seen: set[str], block: str) -> bool:
    """Whether the branch goes back beyond *start*, to where *start* itself comes from."""
    waiting = list(by_output[start].input) if start in by_output else []
    behind: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in behind or name not in by_output:
            continue
        behind.add(name)
        waiting.extend(by_output[name].input)
    return bool(behind & seen) or block in seen


def without(draft: Draft, blocks: list[str]) -> Draft:
    """The same where what went into each of these *blocks* comes out of it."""
    proto = draft.proto()
    started = residual_blocks(proto)
    for node in proto.graph.node:
        if node.output and node.output[0] in blocks:
            node.op_type = "Identity"
            start = started[node.output[0]]
            del node.input[:]
            node.input.append(start)
    return draft.with_proto(checked(proto))

"""Int8 where it harms little: the layers that suffer most stay in float."""

from __future__ import annotations

import numpy as np

from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.steps.precision import quantised
from forebay.workshop.compress.steps.running import floats_of

_ROWS = 64
_MOST_LAYERS = 24
_LEFT = 0.25


def int8_mixed(draft: Draft, bench: Bench) -> Draft:
    """Static int8, the quarter of the layers that moves the answers most left in float."""
    draft = _named(draft)
    layers = [node.name for node in draft.proto().graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    if not 2 <= len(layers) <= _MOST_LAYERS:
        raise Unsupported(f"it has {len(layers)} layers; between 2 and {_MOST_LAYERS} are tried one by one")
    rows = bench.calibration(_ROWS)
    exact = floats_of(draft, rows)
    everything = [node.name for node in draft.proto().graph.node]
    harm = {}
    for layer in layers:
        alone = quantised(draft, rows, "minmax", leave=[name for name in everything if name != layer])
        harm[layer] = float(np.linalg.norm(floats_of(alone, rows) - exact))
    worst = sorted(layers, key=lambda layer: (-harm[layer], layer))[: max(1, round(len(layers) * _LEFT))]
    return quantised(draft, bench.calibration(), "minmax", leave=worst)


def _named(draft: Draft) -> Draft:
    """Every node with a name of its own, by which it can be left out."""
    proto = draft.proto()
    for number, node in enumerate(proto.graph.node):
        node.name = f"n{number}_{node.op_type}"
    return draft.with_proto(proto)

"""Int8 by NNCF, which takes back what costs accuracy."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from forebay.core import Tensors
from forebay.core.errors import Unsupported
from forebay.core.extras import need
from forebay.workshop.compress.drafts import Bench, Draft, answers
from forebay.workshop.compress.steps.precision import need_weights, quiet

_CHUNK = 8
_MOST_DROP = 0.003


def int8_guarded(draft: Draft, bench: Bench) -> Draft:
    """Static int8 whose layers return to float until the tuning rows lose at most 0.3 points.

    It is guarded on the rows that it was calibrated with; like every candidate it is judged by others.
    """
    need_weights(draft)
    os.environ.setdefault("NNCF_CI", "1")  # otherwise it reports its use to its makers, unasked
    nncf = need("nncf", "compress")
    truth = bench.tune.truth
    reference = answers(bench.info, bench.ask(bench.calibration()), truth)
    if reference.labels is None:
        raise Unsupported("it is guarded by labels, and this model answers numbers")
    right = reference.labels if truth is None else truth[: len(reference.labels)]
    proto = draft.proto()
    names = [value.name for value in proto.graph.output]

    def share_right(model: Any, _items: Iterable[Any]) -> float:
        import onnxruntime as ort  # noqa: PLC0415 (heavy)

        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        said = dict(zip(names, session.run(names, bench.calibration()), strict=True))
        return float(np.mean(answers(bench.info, said, truth).labels == right))

    data = nncf.Dataset(list(_chunks(bench.calibration())))
    with quiet():
        made = nncf.quantize_with_accuracy_control(proto, data, data, share_right, max_drop=_MOST_DROP)
    return draft.with_proto(made)


def _chunks(rows: Tensors) -> Iterable[Tensors]:
    count = len(next(iter(rows.values())))
    for start in range(0, count, _CHUNK):
        yield {name: values[start : start + _CHUNK] for name, values in rows.items()}

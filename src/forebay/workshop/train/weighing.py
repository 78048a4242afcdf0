"""What a candidate would cost when it is served: its size, and how long one row takes."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from forebay.workshop.convert.running import answer, opened
from forebay.workshop.train.fitted import Fitted
from forebay.workshop.train.members import Member
from forebay.workshop.train.preparing import Prepared

_RUNS = 60
_WARM_RUNS = 5


def weigh(member: Member, prepared: Prepared) -> dict[str, Any]:
    """`latency_ms` and `size_bytes` of *member* as one ONNX graph."""
    from forebay.workshop.train.serving import draft_of  # noqa: PLC0415 (heavy)

    fitted = Fitted(prepared.facts.task, [member], [1.0], prepared.classes)
    rows = prepared.rows_of(prepared.train.head(1))
    draft = draft_of(fitted, rows, columns=None, answers=prepared.facts.answers)
    inputs = draft.tensors(rows)
    content = draft.files[draft.info.model]
    times = []
    with opened(draft.files, draft.info) as backend:
        for _ in range(_WARM_RUNS + _RUNS):
            began = time.perf_counter()
            answer(backend, inputs)
            times.append(time.perf_counter() - began)
    assert isinstance(content, bytes)
    return {"latency_ms": round(1e3 * median(times[_WARM_RUNS:]), 4), "size_bytes": len(content)}

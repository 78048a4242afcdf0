"""A draft, run as it is: to see what a change does to its answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Draft


def floats_of(draft: Draft, rows: Tensors) -> Array:
    """Every number that it answers to *rows*, in one line."""
    import onnxruntime as ort  # noqa: PLC0415 (heavy)

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session: Any = ort.InferenceSession(draft.graph, options, providers=["CPUExecutionProvider"])
    found = [np.asarray(each) for each in session.run(None, rows)]
    floats = [each.reshape(-1).astype(np.float64) for each in found if each.dtype.kind == "f"]
    if not floats:
        raise Unsupported("it answers no numbers by which harm could be seen")
    return np.concatenate(floats)

"""What a network computes last before it answers: how it sees a row."""

from __future__ import annotations

import numpy as np

from forebay.core import Array, ArtifactInfo, Tensors
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Draft, scores_of
from forebay.workshop.compress.graphs import weights_of

_MOST = 512
_CHUNK = 32


def features_of(draft: Draft, info: ArtifactInfo, inputs: Tensors) -> Array:
    """The input of the last dense layer for each row, float32 [rows, k], each column with a spread of 1.

    Raises `Unsupported` where the teacher is no network that ends in a dense layer.
    """
    import onnx  # noqa: PLC0415 (heavy)
    import onnxruntime as ort  # noqa: PLC0415 (heavy)

    if not draft.graph:
        raise Unsupported("its graph is no ONNX, whose features could be matched")
    proto = draft.proto()
    name = _last_read(draft, info)
    proto.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    count = len(next(iter(inputs.values())))
    parts = [
        session.run([name], {key: values[start : start + _CHUNK] for key, values in inputs.items()})[0]
        for start in range(0, count, _CHUNK)
    ]
    found = np.concatenate(parts)
    if found.ndim != 2 or found.shape[1] > _MOST:
        raise Unsupported(f"it has no features of at most {_MOST} numbers for each row")
    return np.asarray(found / np.maximum(found.std(axis=0), 1e-3), dtype=np.float32)


def _last_read(draft: Draft, info: ArtifactInfo) -> str:
    """Back from the scores to the nearest product with a weight: what it reads."""
    proto, scores = draft.proto(), scores_of(info)
    by_output = {output: node for node in proto.graph.node for output in node.output}
    weights = weights_of(proto)
    name = "" if scores is None else scores.name
    while name in by_output:
        node = by_output[name]
        if node.op_type in ("Gemm", "MatMul") and node.input[1] in weights:
            return str(node.input[0])
        name = next((each for each in node.input if each not in weights), "")
    raise Unsupported("it does not end in a dense layer, whose features could be matched")

"""Simpler graphs: onnxslim, and ONNX Runtime's own optimiser."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from forebay.core.errors import Unsupported
from forebay.core.extras import need
from forebay.workshop.compress.drafts import Bench, Draft


def slim(draft: Draft, _bench: Bench) -> Draft:
    """Constants folded, shapes known, twins merged (onnxslim)."""
    proto = need("onnxslim", "compress").slim(draft.proto())
    return _if_smaller(draft, draft.with_proto(proto))


def optimised(draft: Draft, _bench: Bench) -> Draft:
    """What ONNX Runtime does to every graph on loading, done once: the part that is right on any machine."""
    import onnx  # noqa: PLC0415 (heavy)
    import onnxruntime as ort  # noqa: PLC0415 (heavy)

    with TemporaryDirectory(prefix="forebay-") as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        options.log_severity_level = 3
        ort.InferenceSession(draft.graph, options, providers=["CPUExecutionProvider"])
        proto = onnx.load(options.optimized_model_filepath)
    return _if_smaller(draft, draft.with_proto(proto))


def _if_smaller(before: Draft, after: Draft) -> Draft:
    if len(after.proto().graph.node) >= len(before.proto().graph.node):
        raise Unsupported("the graph is as simple as can be")
    return after

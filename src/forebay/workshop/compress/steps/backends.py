"""The same graph, computed by another backend or in another precision of it."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft


def openvino(draft: Draft, bench: Bench) -> Draft:
    """OpenVINO, floats in f32."""
    return _on_openvino(draft, bench, "f32")


def openvino_bf16(draft: Draft, bench: Bench) -> Draft:
    """OpenVINO, floats in bf16: on processors with AMX about as quick as int8, without calibration."""
    return _on_openvino(draft, bench, "bf16")


def onnxruntime(draft: Draft, _bench: Bench) -> Draft:
    """ONNX Runtime, for what runs elsewhere."""
    if draft.backend == "onnxruntime":
        raise Unsupported("it runs in ONNX Runtime already")
    return replace(draft, backend="onnxruntime", precision="f32")


def _on_openvino(draft: Draft, _bench: Bench, precision: str) -> Draft:
    if find_spec("openvino") is None:
        raise Unsupported("OpenVINO is missing; type: pip install 'forebay[openvino]'")
    if (draft.backend, draft.precision) == ("openvino", precision):
        raise Unsupported(f"it runs in OpenVINO in {precision} already")
    if any(node.domain == "ai.onnx.ml" for node in draft.proto().graph.node):
        raise Unsupported("OpenVINO computes no trees and no encoders of ai.onnx.ml")
    return replace(draft, backend="openvino", precision=precision)

"""Models through OpenVINO answer as ONNX Runtime does, in f32 unless the artifact asks for bf16."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from forebay.core import INFO_NAME, ArtifactInfo, DataType, Signature, TensorSpec
from forebay.core.errors import Died, Malformed, Unsupported
from forebay.serving.engine import load
from forebay.serving.engine.load import compare
from forebay.serving.runtime import Backend, Budget, open_backend
from support.tiny_models import TWICE, echo, echo_signature, echo_text, mlp, resident_bytes, scaler

ov = pytest.importorskip("openvino")
NETWORK = Signature((TensorSpec("x", DataType.FP32, (-1, 32)),), (TensorSpec("y", DataType.FP32, (-1, 10)),))


def write(
    folder: Path, model: bytes, signature: Signature = TWICE, *, ir: bool = True, precision: str = "f32"
) -> Path:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model)
    if ir:
        ov.save_model(ov.convert_model(folder / "model.onnx"), folder / "model.xml", compress_to_fp16=False)
        (folder / "model.onnx").unlink()
    name = "model.xml" if ir else "model.onnx"
    info = ArtifactInfo(signature, backend="openvino", model=name, precision=precision)
    (folder / INFO_NAME).write_bytes(info.encode())
    return folder


def opened(folder: Path, threads: int = 1) -> Backend:
    return open_backend(folder, ArtifactInfo.decode((folder / INFO_NAME).read_bytes()), Budget(threads))


@pytest.mark.parametrize("ir", [True, False], ids=["IR", "ONNX"])
def test_a_model_answers_whatever_the_size_of_the_batch(tmp_path: Path, ir: bool) -> None:
    backend = opened(write(tmp_path / "twice", scaler(), ir=ir))
    compare(TWICE, backend.signature)
    for rows in (1, 5, 2, 128, 0, 3):
        x = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
        got = backend.run({"x": x}, ["y"])["y"]
        np.testing.assert_array_equal(got, 2 * x, strict=True)
    every_other = np.ones((2, 6), np.float32)[:, ::2]
    every_other.flags.writeable = False
    assert backend.run({"x": every_other}, ["y"])["y"].tolist() == [[2, 2, 2], [2, 2, 2]]
    backend.close()


def test_an_answer_stays_what_it_was_when_the_next_batch_comes(tmp_path: Path) -> None:
    backend = opened(write(tmp_path / "twice", scaler()))
    first = backend.run({"x": np.ones((2, 3), np.float32)}, ["y"])["y"]
    backend.run({"x": np.zeros((2, 3), np.float32)}, ["y"])
    assert first.tolist() == [[2, 2, 2], [2, 2, 2]]


def test_floats_are_computed_in_f32_unless_the_artifact_asks_for_bf16(tmp_path: Path) -> None:
    model = mlp(32, 256, 10)
    x = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    (tmp_path / "ort").mkdir()
    (tmp_path / "ort" / "model.onnx").write_bytes(model)
    reference = open_backend(tmp_path / "ort", ArtifactInfo(NETWORK), Budget()).run({"x": x}, ["y"])["y"]
    exact = opened(write(tmp_path / "f32", model, NETWORK)).run({"x": x}, ["y"])["y"]
    np.testing.assert_allclose(exact, reference, atol=1e-5)
    rough = opened(write(tmp_path / "bf16", model, NETWORK, precision="bf16"))
    assert rough.run({"x": x}, ["y"])["y"].dtype == np.float32
    hint = rough._compiled.get_property("INFERENCE_PRECISION_HINT")  # type: ignore[attr-defined]  # its own
    can = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert (hint == ov.Type.bf16) == can
    np.testing.assert_allclose(rough.run({"x": x}, ["y"])["y"], reference, atol=0.1)


def test_a_precision_that_there_is_not_is_refused() -> None:
    with pytest.raises(Malformed, match="the precision 'int4'; use f32 or bf16"):
        ArtifactInfo.decode(ArtifactInfo(TWICE, precision="int4").encode())


@pytest.mark.parametrize("datatype", [DataType.BF16, DataType.FP16])
def test_halves_go_through_unchanged(tmp_path: Path, datatype: DataType) -> None:
    backend = opened(write(tmp_path / "echo", echo(datatype), echo_signature(datatype), ir=False))
    compare(echo_signature(datatype), backend.signature)
    x = np.array([[0x3F80, 0x4000], [0x4040, 0xC080]], np.uint16).view(datatype.dtype)
    np.testing.assert_array_equal(backend.run({"x": x}, ["y"])["y"], x, strict=True)


def test_text_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        Malformed, match=r"'x' is text, .* serve the ONNX file with the backend `onnxruntime`"
    ):
        opened(write(tmp_path / "text", echo_text(), ir=False))


def test_what_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=r"OpenVINO cannot load model\.onnx"):
        opened(write(tmp_path / "rubbish", b"rubbish", ir=False))
    folder = write(tmp_path / "pt", scaler(), ir=False)
    (folder / "model.pt").touch()
    with pytest.raises(Malformed, match=r"neither OpenVINO IR \(\.xml\) nor ONNX"):
        open_backend(folder, ArtifactInfo(TWICE, backend="openvino", model="model.pt"), Budget())


def test_a_shape_that_the_model_refuses_is_the_callers_mistake(tmp_path: Path) -> None:
    backend = opened(write(tmp_path / "twice", scaler()))
    with pytest.raises(Malformed, match=r"the model refused its input: .*incompatible"):
        backend.run({"x": np.ones((1, 4), np.float32)}, ["y"])
    assert backend.run({"x": np.ones((1, 3), np.float32)}, ["y"])["y"].tolist() == [[2, 2, 2]]


def test_without_openvino_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "twice", scaler())
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(Unsupported, match=r"needs openvino, which is missing; type: pip install"):
        opened(folder)


def test_a_lane_serves_it_and_unloading_gives_the_memory_back(tmp_path: Path) -> None:
    folder = write(tmp_path / "big", mlp(32, 3000, 10), NETWORK)
    loaded = load(folder)
    loaded.backend.close()
    gc.collect()
    before = resident_bytes()
    for _ in range(3):
        loaded = load(folder)
        taken = resident_bytes() - before
        loaded.backend.close()
        gc.collect()
        assert taken > 25 << 20
        assert resident_bytes() - before < 10 << 20
    with pytest.raises(Died, match="unloaded"):
        loaded.backend.run({"x": np.ones((1, 32), np.float32)}, ["y"])

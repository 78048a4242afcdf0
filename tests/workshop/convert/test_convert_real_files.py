"""Models of others, as they come out of packages: published, asked over a node, compared with the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from forebay.core import Tensors
from forebay.workshop.convert import convert, verify
from support.asking import asked
from support.packed import BGE, CENTERFACE, MAGIKA, SILERO, packed

pytestmark = pytest.mark.slow


def original(file: Path, inputs: Tensors) -> Tensors:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def words(rows: int, length: int = 16) -> Tensors:
    ids = np.random.default_rng(1).integers(1000, 30_000, (rows, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def sound() -> dict[str, Any]:
    wave = np.sin(np.arange(576, dtype=np.float32) / 9)[None] / 2
    return {"input": wave, "state": np.zeros((2, 1, 128), np.float32), "sr": np.array(16_000)}


def test_magika_tells_files_apart_in_batches(tmp_path: Path) -> None:
    file = packed(MAGIKA)
    converted = convert(file)
    assert converted.signature.batches
    rows = np.random.default_rng(0).integers(0, 256, (5, 2048), dtype=np.int32)
    with asked(converted, tmp_path) as ask:
        got = ask({"bytes": rows})["target_label"]
    np.testing.assert_allclose(got, original(file, {"bytes": rows})["target_label"], atol=1e-6)


def test_silero_keeps_its_state_between_calls_with_its_caller(tmp_path: Path) -> None:
    file = packed(SILERO)
    converted = convert(file, sound())
    assert not converted.signature.batches
    assert [spec.shape for spec in converted.signature.inputs] == [(-1, -1), (2, -1, 128), ()]
    with asked(converted, tmp_path) as ask:
        first = ask(sound())
        second = ask(sound() | {"state": first["stateN"]})
    expected = original(file, sound() | {"state": original(file, sound())["stateN"]})
    np.testing.assert_allclose(second["output"], expected["output"], atol=1e-6)


def test_a_quantised_embedding_whose_rows_disturb_each_other_answers_them_one_by_one(tmp_path: Path) -> None:
    file = packed(BGE)
    converted = convert(file, words(3))
    assert converted.evidence[0]["row_by_row"] is True
    converted.save(tmp_path / "artifact")
    verify(tmp_path / "artifact")
    with asked(converted, tmp_path / "node") as ask:
        got = ask(words(1))["last_hidden_state"]
    np.testing.assert_allclose(got, original(file, words(1))["last_hidden_state"], atol=1e-5)


def test_a_face_detector_of_fixed_size_takes_pictures_of_any_size(tmp_path: Path) -> None:
    file = packed(CENTERFACE)
    converted = convert(file)
    [image] = converted.signature.inputs
    assert image.shape == (-1, 3, -1, -1)
    assert converted.evidence[0]["freed"] == ["batch", "height", "width"]
    picture = np.random.default_rng(0).random((1, 3, 96, 64), np.float32)
    with asked(converted, tmp_path) as ask:
        got = ask({"input.1": picture})
    resized = onnx.load(file)
    for size, dim in zip(picture.shape, resized.graph.input[0].type.tensor_type.shape.dim, strict=True):
        dim.dim_value = size
    for output in resized.graph.output:
        output.type.tensor_type.ClearField("shape")
    onnx.save(resized, tmp_path / "resized.onnx")
    for name, expected in original(tmp_path / "resized.onnx", {"input.1": picture}).items():
        assert expected.shape[2:] == (24, 16)
        np.testing.assert_allclose(got[name], expected, atol=1e-4)


def test_a_face_detector_is_published_with_pictures_of_another_size_than_its_own() -> None:
    converted = convert(packed(CENTERFACE), np.zeros((1, 3, 64, 64), np.float32))
    assert converted.evidence[0]["kind"] == "loaded"
    assert converted.sample["input.1"].shape == (1, 3, 64, 64)

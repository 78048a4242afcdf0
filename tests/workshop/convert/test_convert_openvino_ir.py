"""An OpenVINO IR is looked over, freed of its fixed batch, served as it is, or refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest

from forebay.core.errors import ForebayError
from forebay.workshop.convert import convert, verify
from support.asking import asked
from support.tiny_models import scaler

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An IR as OpenVINO's own converter writes it, with a batch of one."""
    home = tmp_path / "ir"
    onnx.save(onnx.load_from_string(scaler(3.0, batch=1)), tmp_path / "scaler.onnx")
    ov.save_model(ov.convert_model(tmp_path / "scaler.onnx"), home / "net.xml", compress_to_fp16=False)
    return home


def test_an_ir_is_served_as_it_is_with_a_free_batch(folder: Path, tmp_path: Path) -> None:
    converted = convert(folder)
    assert converted.info == convert(folder / "net.xml").info
    assert converted.info.backend == "openvino"
    [x] = converted.signature.inputs
    assert (x.name, x.shape) == ("x", (-1, 3))
    assert converted.evidence[0]["freed"] == ["batch"]
    converted.save(tmp_path / "artifact")
    assert verify(tmp_path / "artifact")[1]["runtime"].startswith("openvino 20")
    rows = np.random.default_rng(0).random((5, 3), np.float32)
    with asked(converted, tmp_path / "node") as ask:
        np.testing.assert_allclose(ask({"x": rows})["y"], 3 * rows, rtol=1e-6)


def change(old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        text = (folder / "net.xml").read_text()
        assert old in text
        (folder / "net.xml").write_text(text.replace(old, new))

    return edit


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "net.bin").unlink(), "belong beside it, as 'net.bin'"),
        (lambda folder: (folder / "net.bin").write_bytes(b""), "'net.bin' is cut off"),
        (change("</net>", ""), "is no OpenVINO IR, or is damaged"),
        (change("<net ", "<net2 "), "no model that anybody here reads|is no OpenVINO IR"),
        (change('version="opset1"', 'version="extension"'), "needs operators of its own"),
        (
            change("<net ", '<!DOCTYPE a [<!ENTITY b "c">]>\n<net '),
            "defines a document type of its own",
        ),
        (lambda folder: (folder / "b.xml").write_text("<net></net>"), r"several models \(b.xml, net.xml\)"),
    ],
)
def test_what_is_no_sound_ir_is_refused_before_openvino_reads_it(
    folder: Path, damage: Callable[[Path], None], told: str
) -> None:
    damage(folder)
    with pytest.raises(ForebayError, match=told):
        convert(folder)

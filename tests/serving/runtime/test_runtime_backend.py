"""Anybody may add a backend, and everybody is told which there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forebay.core import INFO_NAME, ArtifactInfo
from forebay.core.errors import Malformed
from forebay.serving.engine import load
from forebay.serving.runtime import Budget, open_backend
from support.plugin import install_counting
from support.tiny_models import TWICE, scaler, write_artifact


def test_a_backend_that_a_package_brings_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = install_counting(tmp_path, monkeypatch)
    folder = write_artifact(tmp_path / "twice", scaler())
    (folder / INFO_NAME).write_bytes(ArtifactInfo(TWICE, backend="counting").encode())
    backend = load(folder, Budget(threads=3)).backend
    assert backend.run({"x": np.ones((1, 3), np.float32)}, ["y"])["y"].tolist() == [[2, 2, 2]]
    assert (backend.apart, backend.trouble, backend.apart_bytes) == (False, "", 0)
    assert threads == [1]
    backend.close()


def test_a_backend_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "twice", scaler())
    with pytest.raises(Malformed, match=r"no backend 'tvm' here; installed are \['onnxruntime', 'openvino'"):
        open_backend(folder, ArtifactInfo(TWICE, backend="tvm"), Budget())


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        (ArtifactInfo(TWICE, entry="scoring:predict"), "only `python` runs code"),
        (
            ArtifactInfo(TWICE, backend="python", model="code/scoring.py", entry="scoring"),
            "names no function",
        ),
        (ArtifactInfo(TWICE, backend="python", model="scoring.py", entry="a:b"), "a file in code/"),
    ],
)
def test_an_artifact_with_code_is_laid_out_as_written_or_refused(info: ArtifactInfo, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        ArtifactInfo.decode(info.encode())


def test_an_artifact_says_whether_it_has_code() -> None:
    info = ArtifactInfo(TWICE, backend="python", model="code/scoring.py", entry="scoring:predict")
    assert ArtifactInfo.decode(info.encode()).code
    assert not ArtifactInfo(TWICE, backend="python", model="model.pt2").code

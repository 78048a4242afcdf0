"""What is no model, or no model alone, is refused with what to do about it."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forebay.core.errors import ForebayError
from forebay.workshop.convert import convert
from support.tiny_models import scaler


def file(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name

    return make


def zipped(name: str, member: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(member, b"x")
        return folder / name

    return make


def tarred(folder: Path) -> Path:
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(file("a.onnx", scaler())(folder))
    return folder / "model.tar.gz"


def empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def two(folder: Path) -> Path:
    file("both/a.onnx", scaler())(folder)
    return file("both/b.tflite", b"\0\0\0\0TFL3")(folder).parent


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder / "absent", "there is no .*absent"),
        (empty, "the folder .*empty is empty; "),
        (two, r"holds several models \(a.onnx, b.tflite\)"),
        (zipped("model.zip", "model.onnx"), r"is an archive \(zip\); unpack it, and publish what is inside$"),
        (zipped("model.zip", "model/data.pkl"), "is a pickle; unpack it"),
        (tarred, r"is an archive \(gzip\); unpack it, and publish what is inside$"),
        (file("model.pkl", b"\x80\x04\x95\x10\0\0\0\0"), "is a pickle.*--trust"),
        (file("model.weights", b"\x80\x04\x95\x10\0\0\0\0"), "is a pickle.*--trust"),
        (file("model.xyz", b"\x01\x02\x03"), "no model that anybody here reads; models of .*ONNX.* are"),
        (
            file("model.xyz", b"a letter\n"),
            "is text, and no model that anybody here reads; models of .*Keras",
        ),
        (file("model.xyz", b""), "is empty, and no model that anybody here reads"),
        (
            file("model.bin", b"version https://git-lfs.github.com/spec/v1\n"),
            "type `git lfs pull` to get the file itself$",
        ),
        (file("scoring.py", b"def f(x): return x\n"), "publish it as code.*entry='scoring:NAME'.*NAME\\)$"),
        (lambda folder: file("mine/a.py", b"x = 1\n")(folder).parent, "holds Python; publish it as code"),
        (lambda folder: file("mine/a.jpg", b"\xff\xd8")(folder).parent, r"holds no model .*, but a\.jpg"),
    ],
)
def test_what_is_no_model_alone_is_refused(make: Callable[[Path], Path], told: str, tmp_path: Path) -> None:
    with pytest.raises(ForebayError, match=told):
        convert(make(tmp_path), np.ones((2, 2)))


@pytest.mark.parametrize("name", ["model.pt", "model.pth"])
def test_a_file_of_torch_with_code_inside_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ForebayError, match=r"pickle|torch\.export|code"):
        convert(zipped(name, "model/data.pkl")(tmp_path), np.ones((2, 2)))

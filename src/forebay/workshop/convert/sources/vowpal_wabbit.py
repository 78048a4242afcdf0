"""Vowpal Wabbit: linear models, also with crosses of two, become ONNX; others are asked as code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from forebay.core import ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.looks import head_of
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.running import contents, first_line
from forebay.workshop.convert.sources.python_code import CodeFolder, PythonCode
from forebay.workshop.convert.sources.vw_graph import Weights, graph_of, read_weights
from forebay.workshop.convert.sources.vw_lines import (
    JOINED,
    Feature,
    columns_of,
    datatype,
    read_line,
    tensors_of,
    titles,
)

_BINARY = re.compile(rb"[\x04-\x20]\0\0\0\d+\.\d+\.\d+\0")
_LINEAR = frozenset({"gd", "bfgs", "ftrl", "scorer-identity", "scorer-logistic", "count_label"})
_CODE = '''\
"""A model of Vowpal Wabbit, asked with its own lines."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from vowpalwabbit import Workspace


class Model:
    def __init__(self):
        self._vw = Workspace(f"-i {Path(__file__).parent / 'model.vw'} -t --quiet")

    def predict(self, line):
        return np.array([self._vw.predict(str(text)) for text in line])
'''


@dataclass(frozen=True, slots=True)
class VwModel:
    """The binary of a model, and its readable form where that was beside it."""

    binary: bytes
    readable: str = ""


class VowpalWabbit:
    """A workspace, or the file that it saved."""

    name = "Vowpal Wabbit"

    def knows(self, model: object) -> bool:
        return isinstance(model, VwModel) or is_from(model, "vowpalwabbit")

    def reads(self, path: Path) -> bool:
        return path.is_file() and _BINARY.match(head_of(path)) is not None

    def runs_code(self, _path: Path) -> str | None:
        return None

    def load(self, path: Path) -> VwModel:
        readable = path.with_suffix(".txt")
        return VwModel(path.read_bytes(), readable.read_text("utf-8") if readable.is_file() else "")

    def draft(self, model: Any, given: Given) -> Draft:
        need("vowpalwabbit", "vw")
        lines = _lines(given.sample)
        with TemporaryDirectory(prefix="forebay-vw-") as name:
            file = Path(name) / "model.vw"
            if isinstance(model, VwModel):
                file.write_bytes(model.binary)
            else:
                model.save(str(file))
            with _Vw(file) as vw:
                learners, arguments = vw.learners, vw.arguments
            if not _LINEAR.issuperset(learners):
                return _as_code(file, lines, given)
            readable = model.readable if isinstance(model, VwModel) else ""
            weights = read_weights(readable or _read_out(file, lines))
            return _linear_draft(file.read_bytes(), weights, lines, arguments)


class _Vw:
    """The binary in *file*, loaded by Vowpal Wabbit for asking only."""

    def __init__(self, file: Path, more: str = "") -> None:
        self._command = f"-i {file} -t --quiet {more}"

    def __enter__(self) -> Self:
        try:
            self._vw: Any = need("vowpalwabbit", "vw").Workspace(self._command)
        except RuntimeError as error:
            raise Malformed(f"Vowpal Wabbit itself refuses the model: {first_line(error)}") from error
        return self

    def __exit__(self, *_error: object) -> None:
        self._vw.finish()

    @property
    def learners(self) -> list[str]:
        """What the model is built of."""
        return list(self._vw.get_enabled_learners())

    @property
    def arguments(self) -> str:
        """The options that the model was made with."""
        return str(self._vw.get_arguments())

    def ask(self, lines: Sequence[str]) -> list[Any]:
        """Its predictions."""
        return [self._vw.predict(line) for line in lines]


def _lines(sample: Any) -> list[str]:
    lines = [] if sample is None else [str(line) for line in np.asarray(sample).ravel()]
    if not lines or any("|" not in line for line in lines):
        raise Malformed('give some lines as Vowpal Wabbit reads them: sample=["|a height:1.7 |b color=red"]')
    return lines


def _read_out(file: Path, lines: Sequence[str]) -> str:
    """The readable form, with the names of all features that *lines* have."""
    readable = file.with_suffix(".txt")
    with _Vw(file, f"--invert_hash {readable}") as vw:
        vw.ask(lines)
    return readable.read_text("utf-8")


def _linear_draft(binary: bytes, weights: Weights, lines: Sequence[str], arguments: str) -> Draft:
    rows = [read_line(line) for line in lines]
    if weights.unnamed:
        raise Unsupported(
            f"{weights.unnamed} weights are of features that no line of the sample has, and the model keeps "
            "no names; give lines with every feature, or put the model that --invert_hash MODEL.txt wrote "
            "beside MODEL.vw"
        )
    features = columns_of(rows, weights.features)
    link = "logistic" if "--link logistic" in arguments else "identity"
    proto = graph_of(weights, features, link)
    outputs = (TensorSpec("prediction", DataType.FP32, (-1, 1)),)

    def ask(asked: Sequence[str]) -> Tensors:
        with TemporaryDirectory(prefix="forebay-vw-") as name:
            file = Path(name) / "model.vw"
            file.write_bytes(binary)
            with _Vw(file) as vw:
                return {"prediction": np.array(vw.ask(asked), np.float32).reshape(-1, 1)}

    return Draft(
        origin=f"Vowpal Wabbit {version('vowpalwabbit')}",
        files={"model.onnx": proto.SerializeToString(deterministic=True)},
        info=ArtifactInfo(Signature(_inputs(features), outputs), task="regression"),
        rows=np.array(lines, dtype=object),
        ask=ask,
        tensors=lambda asked: tensors_of([read_line(line) for line in asked], features),
        tell_row=lambda asked, row: str(asked[row]),
        evidence={"weights": len(weights.named)},
    )


def _inputs(features: Sequence[Feature]) -> tuple[TensorSpec, ...]:
    names = titles(features)
    if any(feature.text for feature in features):
        pairs = zip(names, features, strict=True)
        return tuple(TensorSpec(name, datatype(feature), (-1, 1), nan=False) for name, feature in pairs)
    return (TensorSpec(JOINED, DataType.FP32, (-1, len(names)), names, nan=False),)


def _as_code(file: Path, lines: Sequence[str], given: Given) -> Draft:
    """What has no place in ONNX is asked by Vowpal Wabbit itself, in a process of its own."""
    (file.parent / "published.py").write_text(_CODE)
    for other in file.parent.glob("*.txt"):
        other.unlink()
    asked = replace(given, sample={"line": np.array(lines, dtype=object)})
    draft = PythonCode().draft(CodeFolder(file.parent, "published:Model"), asked)
    kept = {name: contents(content) for name, content in draft.files.items()}
    return replace(draft, origin="Vowpal Wabbit, by itself", files=kept)

"""The model that is to be made smaller, and what becomes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from forebay.core import INFO_NAME, Array, ArtifactInfo, DataType, Manifest, Tensors, TensorSpec
from forebay.core.errors import Unsupported
from forebay.workshop.compress.keep import Answers
from forebay.workshop.compress.parts import Rows

MODEL_NAME = "model.onnx"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True, slots=True)
class Source:
    """An artifact on this disk."""

    folder: Path
    info: ArtifactInfo
    digest: str

    @classmethod
    def at(cls, folder: Path) -> Source:
        """Read what lies in *folder*; raises `Malformed`."""
        info = ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
        return cls(folder, info, Manifest.of_folder(folder).digest)

    def draft(self) -> Draft:
        """Where every recipe starts; raises `Unsupported` for what is no single ONNX file."""
        if not self.info.model.endswith(".onnx"):
            raise Unsupported(f"its graph is {self.info.model!r} and no ONNX; it can only teach a student")
        import onnx  # noqa: PLC0415 (heavy)

        proto = onnx.load(self.folder / self.info.model)  # weights beside it come along
        return Draft(proto.SerializeToString(deterministic=True), self.info.backend, self.info.precision)


@dataclass(frozen=True, slots=True)
class Draft:
    """A candidate: its graph as ONNX, and what is to compute it how."""

    graph: bytes
    backend: str = "onnxruntime"
    precision: str = "f32"

    def proto(self) -> Any:
        """The graph, to be changed freely."""
        import onnx  # noqa: PLC0415 (heavy)

        return onnx.load_model_from_string(self.graph)

    def with_proto(self, proto: Any) -> Draft:
        """The same with another graph, written so that the same graph gives the same bytes."""
        return replace(self, graph=proto.SerializeToString(deterministic=True))

    def save(self, folder: Path, source: Source) -> Manifest:
        """Write it as an artifact that keeps its source's signature, sample and tokenizer."""
        info = replace_info(source.info, self)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL_NAME).write_bytes(self.graph)
        for name in filter(None, (info.sample, *_TOKENIZER)):
            if (source.folder / name).is_file():
                (folder / name).write_bytes((source.folder / name).read_bytes())
        (folder / INFO_NAME).write_bytes(info.encode())
        return Manifest.of_folder(folder)


def replace_info(info: ArtifactInfo, draft: Draft) -> ArtifactInfo:
    """What `forebay.json` says of *draft*."""
    return ArtifactInfo(
        signature=info.signature,
        backend=draft.backend,
        model=MODEL_NAME,
        sample=info.sample,
        task=info.task,
        precision=draft.precision,
    )


class TooLong(Unsupported):
    """There is not enough time left for it; with more it may well be made."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a step may use: rows to tune with, and the original to learn from.

    `ask` runs the original. `epochs` is how long a fine-tuning is; a student learns for more. What would not
    have learned by `until_s`, a moment of `time.monotonic`, is not to begin.
    """

    info: ArtifactInfo
    tune: Rows
    ask: Callable[[Tensors], Tensors]
    seed: int = 0
    epochs: int = 8
    until_s: float = math.inf

    def calibration(self, most: int = 256) -> Tensors:
        """At most so many rows, as inputs."""
        return {name: values[:most] for name, values in self.tune.inputs.items()}


def label_of(info: ArtifactInfo) -> TensorSpec | None:
    """The output that names the chosen class."""
    kinds = (DataType.INT64, DataType.INT32, DataType.BYTES)
    return next(
        (spec for spec in info.signature.outputs if spec.datatype in kinds and len(spec.shape) <= 2), None
    )


def scores_of(info: ArtifactInfo) -> TensorSpec | None:
    """The output with numbers: probabilities, a regression's answer, an embedding."""
    return next((spec for spec in info.signature.outputs if spec.datatype.floating), None)


def classifies(info: ArtifactInfo, truth: Array | None) -> bool:
    """Whether answers are classes: said by the artifact, or by labels that are no numbers."""
    if info.task:
        return info.task == "classification"
    return label_of(info) is not None or (truth is not None and truth.dtype.kind != "f")


def answers(info: ArtifactInfo, said: Tensors, truth: Array | None) -> Answers:
    """What a model's tensors mean."""
    label, scores = label_of(info), scores_of(info)
    numbers = None if scores is None else _numbers(said[scores.name], scores)
    if not classifies(info, truth):
        return Answers(values=numbers)
    shares = numbers if numbers is not None and numbers.ndim == 2 and numbers.shape[1] > 1 else None
    classes = _classes(scores, shares)
    if label is not None:
        return Answers(
            _texts(said[label.name]), None if shares is None else as_shares(shares), numbers, classes
        )
    if shares is None:
        raise Unsupported("a classifier gives labels, or a score for each class; this one gives neither")
    chosen = np.array(classes)[np.nan_to_num(shares, nan=-np.inf).argmax(axis=1)]
    return Answers(chosen, as_shares(shares), numbers, classes)


def as_shares(scores: Array) -> Array:
    """Probabilities as they are, logits through a softmax."""
    scores = scores.astype(np.float64)
    if scores.min(initial=0.0) >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-2):
        return scores
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _numbers(values: Array, spec: TensorSpec) -> Array:
    if spec.datatype is DataType.BF16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float64).reshape(len(values), -1)


def _classes(spec: TensorSpec | None, shares: Array | None) -> tuple[str, ...]:
    if spec is None or shares is None:
        return ()
    if len(spec.columns) == shares.shape[1]:
        return spec.columns
    return tuple(str(number) for number in range(shares.shape[1]))


def _texts(values: Array) -> Array:
    flat = values.reshape(len(values), -1)[:, 0]
    return np.array([item.decode() if isinstance(item, bytes) else str(item) for item in flat], dtype=str)

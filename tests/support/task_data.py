"""Real data for every task of a training, as the files that people upload."""

from __future__ import annotations

import inspect
import io
import tarfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

AIR_PASSENGERS = (
    "112 118 132 129 121 135 148 148 136 119 104 118 115 126 141 135 125 149 170 170 158 133 114 140 "
    "145 150 178 163 172 178 199 199 184 162 146 166 171 180 193 181 183 218 230 242 209 191 172 194 "
    "196 196 236 235 229 243 264 272 237 211 180 201 204 188 235 227 234 264 302 293 259 229 203 229 "
    "242 233 267 269 270 315 364 347 312 274 237 278 284 277 317 313 318 374 413 405 355 306 271 306 "
    "315 301 356 348 355 422 465 467 404 347 305 336 340 318 362 348 363 435 491 505 404 359 310 337 "
    "360 342 406 396 420 472 548 559 463 407 362 405 417 391 419 461 472 535 622 606 508 461 390 432"
)
"""Thousands of passengers of international airlines, by month, 1949 to 1960 (Box and Jenkins, 1976)."""


class Task(NamedTuple):
    """A data set, how it is written, what is asked of it, and a score that it has to reach."""

    content: Callable[[], bytes]
    format: str
    asked: dict[str, Any]
    score: str
    least: float


def _frame(loaded: Any, columns: int = 8) -> pl.DataFrame:
    frame = loaded.frame
    names = list(loaded.data.columns[:columns])
    return pl.DataFrame({name: frame[name].to_list() for name in [*names, "target"]})


def _csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def _parquet(frame: pl.DataFrame) -> bytes:
    written = io.BytesIO()
    frame.write_parquet(written)
    return written.getvalue()


def _cancer() -> pl.DataFrame:
    return _frame(load_breast_cancer(as_frame=True))


def _labels() -> bytes:
    frame = _cancer().with_columns(large=(pl.col("mean radius") > 14).cast(int))
    return frame.rename({"target": "benign"}).write_ndjson().encode()


def _passengers() -> bytes:
    values = list(map(int, AIR_PASSENGERS.split()))
    return _csv(pl.DataFrame({"month": range(len(values)), "passengers": values}))


def _rare() -> bytes:
    """All benign tumours, and a few malignant ones."""
    frame = _cancer()
    some = frame.filter(pl.col("target") == 0).head(30)
    rows = pl.concat([frame.filter(pl.col("target") == 1), some])
    return _csv(rows.with_columns(malignant=1 - pl.col("target")).drop("target"))


def _pictures() -> bytes:
    from PIL import Image  # noqa: PLC0415 (heavy)

    digits, written = load_digits(), io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for place in np.flatnonzero(digits.target < 3)[:300]:
            picture = io.BytesIO()
            Image.fromarray((digits.images[place] * 15).astype(np.uint8)).save(picture, "png")
            member = tarfile.TarInfo(f"digit{digits.target[place]}/{place}.png")
            member.size = picture.tell()
            picture.seek(0)
            archive.addfile(member, picture)
    return written.getvalue()


def _docstrings() -> bytes:
    """The first paragraphs of what numpy and polars say about themselves."""
    rows = [
        {"text": " ".join(text.split("\n\n")[0].split()), "library": name}
        for name, home in (("numpy", np), ("polars", pl.Expr))
        for member in vars(home).values()
        if callable(member) and len(text := inspect.getdoc(member) or "") > 40
    ]
    return _csv(pl.DataFrame(rows).unique("text", maintain_order=True))


TASKS = {
    "binary": Task(lambda: _csv(_cancer()), "csv", {"target": "target", "time_budget_s": 2.0}, "auc", 0.95),
    "multiclass": Task(
        lambda: _parquet(_frame(load_wine(as_frame=True))),
        "parquet",
        {"target": "target", "estimator": "logistic-regression"},
        "macro_f1",
        0.85,
    ),
    "multilabel": Task(
        _labels, "jsonl", {"target": "benign,large", "estimator": "random-forest"}, "macro_f1", 0.85
    ),
    "regression": Task(
        lambda: _csv(_frame(load_diabetes(as_frame=True), 10)),
        "csv",
        {"target": "target", "estimator": "ridge"},
        "r2",
        0.4,
    ),
    "quantile": Task(
        lambda: _csv(_frame(load_diabetes(as_frame=True), 10)),
        "csv",
        {"target": "target", "task": "quantile", "estimator": "hist-gradient-boosting"},
        "skill",
        0.1,
    ),
    "forecasting": Task(
        _passengers,
        "csv",
        {
            "target": "passengers",
            "task": "forecasting",
            "by": "month",
            "horizon": 6,
            "lags": 24,
            "estimator": "ridge",
        },
        "skill",
        0.5,
    ),
    "clustering": Task(
        lambda: _csv(_frame(load_iris(as_frame=True)).drop("target")),
        "csv",
        {"task": "clustering"},
        "silhouette",
        0.4,
    ),
    "anomaly": Task(_rare, "csv", {"task": "anomaly", "target": "malignant"}, "auc", 0.8),
    "images": Task(
        _pictures,
        "images",
        {"target": "class", "estimator": "torch-cnn", "parameters": {"epochs": 8, "batch": 16}},
        "accuracy",
        0.9,
    ),
    "texts": Task(
        _docstrings, "csv", {"target": "library", "estimator": "logistic-regression"}, "accuracy", 0.8
    ),
}

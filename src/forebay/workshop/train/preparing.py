"""First step: look the data over, choose columns and task, split once and for all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from forebay.core import Array
from forebay.workshop.train.columns import Choice, Column, Kind, choose_columns
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.reading import Data
from forebay.workshop.train.recipe import CLASSIFICATION, Recipe
from forebay.workshop.train.splitting import split
from forebay.workshop.train.targets import task_of, values_of

if TYPE_CHECKING:
    import polars as pl

_UNBALANCED = 0.1
_MANY_MISSING = 0.5


class Facts(msgspec.Struct, frozen=True):
    """What preparation found out, all of it data: it travels with the rows, and into card and lineage."""

    target: str
    task: str
    why_task: str
    named: bool
    origin: str
    sha256: str
    rows: int
    rows_train: int
    rows_held_out: int
    duplicates: int
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]
    classes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows to learn from and rows held out: numbers as float32, texts without nulls."""

    facts: Facts
    train: pl.DataFrame
    train_target: Array
    held_out: pl.DataFrame
    held_out_target: Array

    @property
    def matrix(self) -> bool:
        """Whether all columns are numbers, so that a row travels as one tensor."""
        return all(column.kind is Kind.NUMBER for column in self.facts.columns)

    @property
    def values(self) -> int:
        """How many values there are to learn from."""
        return self.train.height * self.train.width

    def rows_of(self, frame: pl.DataFrame) -> Any:
        """*frame* the way the model takes it."""
        return np.ascontiguousarray(frame.to_numpy(), dtype=np.float32) if self.matrix else frame

    def save(self, folder: Path) -> None:
        """Write everything below *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame, target in (
            ("train", self.train, self.train_target),
            ("held_out", self.held_out, self.held_out_target),
        ):
            frame.write_parquet(folder / f"{name}.parquet")
            np.save(folder / f"{name}_target.npy", target, allow_pickle=False)
        (folder / "facts.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.facts), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Prepared:
        """Read what `save` wrote."""
        import polars as pl  # noqa: PLC0415 (heavy)

        parts: list[Any] = []
        for name in ("train", "held_out"):
            parts.append(pl.read_parquet(folder / f"{name}.parquet"))
            parts.append(np.load(folder / f"{name}_target.npy", allow_pickle=False))
        facts = msgspec.json.decode((folder / "facts.json").read_bytes(), type=Facts)
        return cls(facts, *parts)


def prepare(data: Data, recipe: Recipe, report: Reporter) -> Prepared:
    """Check and split *data*; raises `Malformed` with the first thing that has to be mended."""
    series = data.frame[data.target]
    task, why = task_of(series, recipe.task)
    target = values_of(series, task)
    report.log(f"{task} of {data.target!r}: {why}")
    choice = choose_columns(data.frame, data.target, recipe.features)
    frame = _typed(data.frame, choice)
    duplicates = frame.height - frame.with_columns(series.alias("\0target")).n_unique()
    train, held = split(target, recipe.held_out, recipe.seed, stratified=task == CLASSIFICATION)
    facts = Facts(
        target=data.target,
        task=task,
        why_task=why,
        named=data.named,
        origin=data.origin,
        sha256=data.sha256,
        rows=frame.height,
        rows_train=len(train),
        rows_held_out=len(held),
        duplicates=duplicates,
        columns=choice.columns,
        left_out=choice.left_out,
        warnings=tuple(_warnings(choice, target, task, duplicates)),
        classes=_classes(target) if task == CLASSIFICATION else {},
    )
    for told in (*(f"left out: {one}" for one in facts.left_out), *facts.warnings):
        report.log(told)
    report.progress(1.0, f"{len(train)} rows to learn from, {len(held)} held out")
    return Prepared(facts, frame[train.tolist()], target[train], frame[held.tolist()], target[held])


def _typed(frame: pl.DataFrame, choice: Choice) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 (heavy)

    def typed(column: Column) -> pl.Expr:
        named = pl.col(column.name)
        if column.kind is Kind.TEXT:
            return named.cast(pl.String).fill_null("")
        return named.cast(pl.Float32, strict=False).fill_null(float("nan"))

    return frame.select([typed(column) for column in choice.columns])


def _classes(target: Array) -> dict[str, int]:
    names, counts = np.unique(target, return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _warnings(choice: Choice, target: Array, task: str, duplicates: int) -> list[str]:
    rows = len(target)
    told = [
        f"{column.name!r} is missing in {column.missing} of {rows} rows"
        for column in choice.columns
        if column.missing > _MANY_MISSING * rows
    ]
    if duplicates:
        told.append(f"{duplicates} of {rows} rows are duplicates; the held-out score may flatter the model")
    if task == CLASSIFICATION:
        name, count = min(_classes(target).items(), key=lambda item: item[1])
        if count < _UNBALANCED * rows:
            told.append(f"only {count} of {rows} rows are of the class {name!r}; look at its own score")
    return told

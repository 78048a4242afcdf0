"""First step: look the data over, choose columns and task, split once and for all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.workshop.train.columns import Choice, Column, Kind, choose_columns, every_column
from forebay.workshop.train.profile import Aspect, warnings_of
from forebay.workshop.train.progress import Reporter
from forebay.workshop.train.reading import Data
from forebay.workshop.train.recipe import (
    CLASSIFICATION,
    FORECASTING,
    MULTILABEL,
    REGRESSION,
    UNTAUGHT,
    Recipe,
    one_of,
)
from forebay.workshop.train.sampling import Others
from forebay.workshop.train.series import lagged
from forebay.workshop.train.splitting import split, split_by_group, split_by_time
from forebay.workshop.train.targets import labels_of, plain_values_of, task_of, values_of

if TYPE_CHECKING:
    import polars as pl

_PIXELS_FROM = 64
_BRIGHTEST = 255
_LOOKED_AT_ROWS = 200
_OTHERS = "others.parquet"


class Facts(msgspec.Struct, frozen=True):
    """What preparation found out, all of it data: it travels with the rows, and into card and lineage.

    `classes` counts the rows of each class, or of each label; `answers` names the numbers that a
    forecast or a quantile regression gives; `image` is (channels, height, width) of rows that are
    pictures, `pictures` whether they came as such. `took_s` is how long reading and preparing took.
    `rows_streamed` are learnt from on disk, beside those that are in memory.
    """

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
    split: str = "random"
    answers: tuple[str, ...] = ()
    image: tuple[int, int, int] | None = None
    pictures: bool = False
    rows_sampled: int | None = None
    rows_streamed: int = 0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows to learn from and rows held out: numbers as float32, texts without nulls.

    A target is [rows], or [rows, columns] where there are several to predict. `groups` are the
    groups of the rows to learn from, where rows of one group must stay together. `others` are rows to
    learn from that lie on disk, as they were read.
    """

    facts: Facts
    train: pl.DataFrame
    train_target: Array
    held_out: pl.DataFrame
    held_out_target: Array
    groups: Array | None = None
    others: Others | None = None

    def streamed(self) -> Iterator[tuple[Any, Array]]:
        """The rows on disk, some at a time, and their targets as members learn them; unknown classes go."""
        names = [column.name for column in self.facts.columns]
        for part in self.others.parts() if self.others is not None else ():
            target = plain_values_of(part[self.facts.target], self.facts.task)
            known = np.ones(len(target), bool)
            if self.facts.task == CLASSIFICATION:
                known = np.isin(target, self.classes)
            frame = _typed(part.select(names), self.facts.columns).filter(known.tolist())
            yield self.rows_of(frame), self.codes(target[known])

    @property
    def matrix(self) -> bool:
        """Whether all columns are numbers, so that a row travels as one tensor."""
        return all(column.kind is Kind.NUMBER for column in self.facts.columns)

    @property
    def wordy(self) -> bool:
        """Whether a column holds sentences."""
        return any(column.kind is Kind.WORDS for column in self.facts.columns)

    @property
    def gaps(self) -> bool:
        """Whether a value is missing anywhere."""
        return any(column.missing for column in self.facts.columns)

    @property
    def values(self) -> int:
        """How many values there are to learn from."""
        return self.train.height * self.train.width

    @property
    def classes(self) -> Array:
        """The classes in their order, or a multilabel task's labels."""
        if self.facts.task == MULTILABEL:
            return np.array(list(self.facts.classes))
        return np.unique(np.concatenate([self.train_target, self.held_out_target]))

    def codes(self, target: Array) -> Array:
        """*target* as members learn it: classes by their places, everything else as it is."""
        return np.searchsorted(self.classes, target) if self.facts.task == CLASSIFICATION else target

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
        if self.groups is not None:
            np.save(folder / "groups.npy", self.groups, allow_pickle=False)
        if self.others is not None:
            shutil.copyfile(self.others.path, folder / _OTHERS)
        (folder / "facts.json").write_bytes(msgspec.json.format(msgspec.json.encode(self.facts), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Prepared:
        """Read what `save` wrote."""
        import polars as pl  # noqa: PLC0415 (heavy)

        frames = [pl.read_parquet(folder / f"{name}.parquet") for name in ("train", "held_out")]
        names = ("train_target", "held_out_target", "groups")
        paths = [folder / f"{name}.npy" for name in names]
        told, held, groups = (np.load(path, allow_pickle=False) if path.exists() else None for path in paths)
        facts = msgspec.json.decode((folder / "facts.json").read_bytes(), type=Facts)
        assert told is not None
        assert held is not None
        others = Others(folder / _OTHERS) if (folder / _OTHERS).exists() else None
        return cls(facts, frames[0], told, frames[1], held, groups, others)


def prepare(data: Data, recipe: Recipe, report: Reporter) -> Prepared:
    """Check and split *data*; raises `Malformed` with the first thing that has to be mended."""
    began = time.monotonic()
    aspect = _forecast(data, recipe) if recipe.task == FORECASTING else _table(data, recipe)
    report.log(
        f"{aspect.task} of {data.target!r}: {aspect.why}" if data.target else f"{aspect.task}: no target"
    )
    train, held, way = _split(data, recipe, aspect)
    duplicates = _duplicates(aspect)
    others = _others(data, recipe, aspect, report)
    choice = aspect.choice
    facts = Facts(
        target=data.target,
        task=aspect.task,
        why_task=aspect.why,
        named=data.named and aspect.task != FORECASTING,
        origin=data.origin,
        sha256=data.sha256,
        rows=data.rows or aspect.frame.height,
        rows_train=len(train),
        rows_held_out=len(held),
        duplicates=duplicates,
        columns=choice.columns,
        left_out=choice.left_out,
        warnings=tuple(warnings_of(aspect, duplicates)),
        classes=_classes(aspect),
        split=way,
        answers=aspect.answers,
        image=aspect.image,
        pictures=data.image is not None,
        rows_sampled=aspect.frame.height if data.rows and data.rows > aspect.frame.height else None,
        rows_streamed=len(others) if others is not None else 0,
        took_s=round(data.took_s + time.monotonic() - began, 3),
    )
    for told in (*(f"left out: {one}" for one in facts.left_out), *facts.warnings):
        report.log(told)
    report.progress(1.0, f"{len(train)} rows to learn from, {len(held)} held out")
    groups = data.frame[recipe.by].to_physical().to_numpy()[train] if way == "group" and recipe.by else None
    target, frame = aspect.target, aspect.frame
    rows = (frame[train.tolist()], target[train], frame[held.tolist()], target[held])
    return Prepared(facts, *rows, groups, others)


def _others(data: Data, recipe: Recipe, aspect: Aspect, report: Reporter) -> Others | None:
    """The rows on disk, where none of them may be of a later time or another group than those held out."""
    if data.others is None or (recipe.by is None and aspect.task in (CLASSIFICATION, REGRESSION)):
        return data.others
    report.log(
        "only the rows that fit into the memory allowed are learnt from: this task or split needs them"
    )
    return None


def _table(data: Data, recipe: Recipe) -> Aspect:
    targets = recipe.targets if data.target else ()
    if recipe.task in UNTAUGHT:
        task, why, target = recipe.task or "", "as asked", _told_anomalies(data, targets)
    elif len(targets) > 1:
        for name in targets:
            one_of(name, data.frame.columns, "column")
        task, why, target = MULTILABEL, f"{len(targets)} labels", labels_of(data.frame.select(targets))
    else:
        series = data.frame[data.target]
        task, why = task_of(series, recipe.task)
        target = values_of(series, task)
    if recipe.by is not None:
        one_of(recipe.by, data.frame.columns, "column")
    image = data.image or (_square(data.frame, targets) if recipe.features is None else None)
    if image is None:
        choice = choose_columns(data.frame, targets, recipe.features, recipe.by)
    else:  # a pixel that is always black still has its place
        choice = every_column(data.frame, targets)
    answers = tuple(f"{share:g}" for share in recipe.quantiles) if task == "quantile" else ()
    return Aspect(task, why, _typed(data.frame, choice.columns), target, choice, answers, targets, image)


def _told_anomalies(data: Data, targets: tuple[str, ...]) -> Array:
    """1 for a row that is known to be an anomaly, to measure by; nothing is learnt from it."""
    if not targets:
        return np.zeros(data.frame.height)
    return labels_of(data.frame.select(targets))[:, 0]


def _forecast(data: Data, recipe: Recipe) -> Aspect:
    import polars as pl  # noqa: PLC0415 (heavy)

    if recipe.by is not None:
        one_of(recipe.by, data.frame.columns, "column")
    frame = data.frame if recipe.by is None else data.frame.sort(recipe.by)
    task_of(frame[data.target], FORECASTING)
    values = values_of(frame[data.target], FORECASTING)
    rows, target = lagged(values, recipe.lags, recipe.horizon)
    names = [f"lag {count}" for count in range(rows.shape[1], 0, -1)]
    columns = tuple(Column(name, Kind.NUMBER, 0, len(np.unique(rows[:, n]))) for n, name in enumerate(names))
    choice = Choice(columns, ())
    answers = tuple(f"step {step}" for step in range(1, recipe.horizon + 1))
    why = "as asked, in the order of " + (repr(recipe.by) if recipe.by else "the rows")
    return Aspect(FORECASTING, why, pl.DataFrame(rows, schema=names), target, choice, answers, (data.target,))


def _split(data: Data, recipe: Recipe, aspect: Aspect) -> tuple[Array, Array, str]:
    way = recipe.split or ("stratified" if aspect.task == CLASSIFICATION else "random")
    if aspect.task == FORECASTING:
        train, held = split_by_time(np.arange(len(aspect.target)), recipe.held_out)
        # windows that overlap the first held-out one would show what is to be foreseen
        return train[: max(1, len(train) - recipe.horizon + 1)], held, "time"
    if recipe.by is not None:
        along = data.frame[recipe.by]
        if along.null_count():
            raise Malformed(f"the column {recipe.by!r} to split by has {along.null_count()} gaps; fill them")
        if way == "time":
            train, held = split_by_time(along.rank("dense").to_numpy(), recipe.held_out)
        else:
            train, held = split_by_group(along.to_physical().to_numpy(), recipe.held_out, recipe.seed)
        return train, held, way
    if way == "stratified" and aspect.task != CLASSIFICATION:
        raise Malformed(f"split='stratified' needs classes, and this is {aspect.task}; use split='random'")
    train, held = split(aspect.target, recipe.held_out, recipe.seed, stratified=way == "stratified")
    return train, held, way


def _typed(frame: pl.DataFrame, columns: tuple[Column, ...]) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 (heavy)

    def typed(column: Column) -> pl.Expr:
        named = pl.col(column.name)
        if column.kind is not Kind.NUMBER:
            return named.cast(pl.String).fill_null("")
        return named.cast(pl.Float32, strict=False).fill_null(float("nan"))

    return frame.select([typed(column) for column in columns])


def _duplicates(aspect: Aspect) -> int:
    import polars as pl  # noqa: PLC0415 (heavy)

    if aspect.task == FORECASTING:
        return 0
    told = pl.DataFrame(aspect.target.reshape(len(aspect.target), -1))
    told.columns = [f"\0{place}" for place in range(told.width)]
    return int(aspect.frame.height - pl.concat([aspect.frame, told], how="horizontal").n_unique())


def _classes(aspect: Aspect) -> dict[str, int]:
    if aspect.task == MULTILABEL:
        return dict(zip(aspect.targets, (int(count) for count in aspect.target.sum(axis=0)), strict=True))
    return aspect.classes


def _square(frame: pl.DataFrame, targets: tuple[str, ...]) -> tuple[int, int, int] | None:
    """(1, side, side) where rows look like the pixels of a square picture: many columns of whole values."""
    pixels = frame.select([name for name in frame.columns if name not in targets])
    side = round(pixels.width**0.5)
    if side * side != pixels.width or pixels.width < _PIXELS_FROM:
        return None
    if not all(dtype.is_numeric() for dtype in pixels.dtypes):
        return None
    some = pixels.head(_LOOKED_AT_ROWS).to_numpy()
    whole = (
        np.isfinite(some).all() and (some >= 0).all() and (some <= _BRIGHTEST).all() and (some % 1 == 0).all()
    )
    return (1, side, side) if whole and not pixels.null_count().sum_horizontal().item() else None

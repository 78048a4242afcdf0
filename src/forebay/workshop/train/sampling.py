"""A file that may be larger than memory, as a frame that is not."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_STREAMED_BYTES = 1 << 26
_GROUP_ROWS = 50_000
_LOOKED_AT_ROWS = 10_000
_WORTH = 6
"""How many times its own size a frame takes, from reading to the end of a fit."""


class Scratch:
    """A folder that is there as long as somebody holds this."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="forebay-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Others:
    """The rows of a large file that were not drawn, in Parquet; *folder* is theirs as long as they live."""

    path: Path
    folder: Scratch | None = None

    def parts(self, rows: int = _GROUP_ROWS) -> Iterator[pl.DataFrame]:
        """All of them, so many at once."""
        import polars as pl  # noqa: PLC0415 (heavy)

        scan = pl.scan_parquet(self.path)
        for first in range(0, len(self), rows):
            yield scan.slice(first, rows).collect()

    def __len__(self) -> int:
        import polars as pl  # noqa: PLC0415 (heavy)

        return int(pl.scan_parquet(self.path).select(pl.len()).collect().item())


def sampled(
    scans: Iterable[pl.LazyFrame], path: Path, memory_bytes: int, seed: int, others: Path | None = None
) -> tuple[pl.DataFrame, int | None]:
    """All rows of *path*, or as many, drawn at random, as fit; and how many there are if not all are there.

    A large file goes to Parquet in a stream first, beside the place where temporary files are kept, so
    that memory holds one piece of it at a time. Where not all are drawn, *others* is where those go that
    are not.
    """
    if path.stat().st_size < min(_STREAMED_BYTES, memory_bytes // _WORTH):
        return _first(scans, lambda scan: scan.collect(engine="streaming")), None
    with TemporaryDirectory(prefix="forebay-") as folder:
        staged = Path(folder) / "rows.parquet"
        _first(scans, lambda scan: _staged(scan, staged))
        return _drawn(staged, memory_bytes // _WORTH, seed, others)


def _first(scans: Iterable[pl.LazyFrame], do: Callable[[pl.LazyFrame], pl.DataFrame]) -> pl.DataFrame:
    """What the first scan that does not stumble over a value gives."""
    import polars as pl  # noqa: PLC0415 (heavy)

    stumbled: Exception | None = None
    for scan in scans:
        try:
            return do(scan)
        except pl.exceptions.ComputeError as error:
            stumbled = error
    assert stumbled is not None
    raise stumbled


def _staged(scan: pl.LazyFrame, staged: Path) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 (heavy)

    scan.sink_parquet(staged, compression="lz4", row_group_size=_GROUP_ROWS)
    return pl.DataFrame()


def _drawn(staged: Path, most_bytes: int, seed: int, others: Path | None) -> tuple[pl.DataFrame, int | None]:
    """The rows of *staged* by a hash of their numbers, so that the same *seed* draws the same ones."""
    import polars as pl  # noqa: PLC0415 (heavy)

    scan = pl.scan_parquet(staged)
    rows = int(scan.select(pl.len()).collect().item())
    head = scan.head(_LOOKED_AT_ROWS).collect()
    share = most_bytes / max(1.0, head.estimated_size() / max(1, head.height) * rows)
    if share >= 1.0:
        return scan.collect(engine="streaming"), None
    number = pl.int_range(pl.len(), dtype=pl.UInt64).hash(seed)
    drawn = number < int(share * (2**64 - 1))
    if others is not None:
        scan.filter(~drawn).sink_parquet(others, compression="lz4", row_group_size=_GROUP_ROWS)
    return scan.filter(drawn).collect(engine="streaming"), rows

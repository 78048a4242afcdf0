"""What came of each candidate, on disk line by line: a search that is killed goes on where it was."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import msgspec

from forebay.core.errors import Conflict
from forebay.workshop.compress.keep import Finding, Verdict

_LOG, _KEY = "search.jsonl", "search.json"
_MOST_BEGINNINGS = 2


class Outcome(StrEnum):
    """How a candidate ended."""

    MEASURED = "measured"
    INAPPLICABLE = "inapplicable"
    """Its step has nothing to work on in this model."""
    FAILED = "failed"


class Cost(msgspec.Struct, frozen=True):
    """Seconds and joules at one batch size; as `measuring.Costs`."""

    batch_rows: int
    p50_s: float
    p95_s: float
    p99_s: float
    row_joules: float


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One recipe and what was found.

    `findings` are for the choosing part, at the batch size where they are worst (`worst_batch`), judged as
    if there were as many rows as the final part has. `costs` and `original_costs` are of one race.
    """

    recipe: tuple[str, ...]
    outcome: Outcome
    reason: str = ""
    digest: str = ""
    disk_bytes: int = 0
    memory_bytes: int = 0
    original_disk_bytes: int = 0
    original_memory_bytes: int = 0
    findings: tuple[Finding, ...] = ()
    worst_batch: int = 0
    verdict: Verdict = Verdict.BROKEN
    costs: tuple[Cost, ...] = ()
    original_costs: tuple[Cost, ...] = ()
    made_s: float = 0.0

    @property
    def name(self) -> str:
        """The recipe in words."""
        return " + ".join(self.recipe)

    @property
    def size(self) -> float:
        """On disk, as a share of the original's."""
        return self.disk_bytes / max(1, self.original_disk_bytes)

    @property
    def line(self) -> str:
        """What came of it, in a line."""
        if self.outcome is not Outcome.MEASURED:
            failed = " failed" if self.outcome is Outcome.FAILED else ""
            return f"{self.name}{failed}: {self.reason}"
        times = [f"{self.ratio('p50_s', rows):.2f} of the time in {rows}" for rows in (1, 32) if self.costs]
        shares = ", ".join([*times, f"{self.size:.2f} of the size"])
        figures = "; ".join(finding.figures for finding in self.findings)
        return f"{self.name}: {shares}; {figures}; {self.verdict}"

    def ratio(self, figure: str, batch_rows: int) -> float:
        """A figure of `costs` as a share of the original's in the same race."""
        own, original = (
            next(getattr(cost, figure) for cost in costs if cost.batch_rows == batch_rows)
            for costs in (self.costs, self.original_costs)
        )
        return float(own / original) if original else 1.0


class _Began(msgspec.Struct, frozen=True, tag=True):
    recipe: tuple[str, ...]


class _Withdrawn(msgspec.Struct, frozen=True, tag=True):
    recipe: tuple[str, ...]


class _Ended(msgspec.Struct, frozen=True, tag=True):
    tried: Tried


class Log:
    """The candidates of one search, in its folder."""

    def __init__(self, folder: Path, key: dict[str, object]) -> None:
        """Open or go on; raises `Conflict` when *folder* belongs to another search."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / _LOG
        written = msgspec.json.format(msgspec.json.encode(key), indent=1)
        if (folder / _KEY).exists():
            if (folder / _KEY).read_bytes() != written:
                raise Conflict(
                    f"{folder} holds another search: model, data, promises or goal differ; name another"
                )
        else:
            (folder / _KEY).write_bytes(written)
        self.done: dict[tuple[str, ...], Tried] = {}
        self._begun: dict[tuple[str, ...], int] = {}
        self._read()

    def _read(self) -> None:
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # killed while it wrote
            with self._path.open("r+b") as file:
                file.truncate(len(whole))
        decoder = msgspec.json.Decoder(_Began | _Withdrawn | _Ended)
        for line in whole.splitlines():
            entry = decoder.decode(line)
            if isinstance(entry, _Ended):
                self.done[entry.tried.recipe] = entry.tried
            else:
                more = 1 if isinstance(entry, _Began) else -1
                self._begun[entry.recipe] = self._begun.get(entry.recipe, 0) + more

    def deadly(self, recipe: tuple[str, ...]) -> bool:
        """Whether the process has died of it so often that it is not to be tried again."""
        return recipe not in self.done and self._begun.get(recipe, 0) >= _MOST_BEGINNINGS

    def begin(self, recipe: tuple[str, ...]) -> None:
        """Somebody starts on *recipe*."""
        self._begun[recipe] = self._begun.get(recipe, 0) + 1
        self._write(_Began(recipe))

    def withdraw(self, recipe: tuple[str, ...]) -> None:
        """It was left for another time, which says nothing against it."""
        self._begun[recipe] -= 1
        self._write(_Withdrawn(recipe))

    def end(self, tried: Tried) -> None:
        """It is known now."""
        self.done[tried.recipe] = tried
        self._write(_Ended(tried))

    def _write(self, entry: _Began | _Withdrawn | _Ended) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())

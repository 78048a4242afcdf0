"""A compress job's search: an artifact and a table in, a smaller or faster artifact out, with evidence."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from forebay.control.hub.work.publishing import EVIDENCE
from forebay.control.hub.work.requests import CompressRequest, read_request
from forebay.core import REPORT_NAME, ArtifactInfo
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.compress import (
    Compressed,
    Evidence,
    Rows,
    Source,
    compress,
    rows_of_table,
)
from forebay.workshop.train import ARTIFACT, Listener, read

SOURCE, KNOWN, SEARCH, AGAIN = "source", "known.json", "candidates", "again"
_MOST = 0.98
_WORDS = {"try": "trying {}", "prove": "proving {} on rows that nothing has seen"}


class Known(msgspec.Struct, frozen=True):
    """What the very same request came to before: how the version was made, and the digest of its artifact."""

    recipe: tuple[str, ...]
    digest: str


def search_smaller(folder: Path, output: Path, tell: Listener) -> None:
    """Search. What is done of it survives a `kill -9` in the job's own folder."""
    request = read_request(CompressRequest, folder)
    teller = _Teller(tell, request.time_budget_s)
    source = Source.at(folder / "fetch" / SOURCE)
    rows = _rows(request, source.info, folder / "fetch" / request.file_name)
    made = _again(folder, source, rows, request, teller)
    if made is None:
        made = compress(source, rows, request.wish, folder / SEARCH, listener=teller)
    shutil.copyfile(made.report, folder / REPORT_NAME)
    if not made.kept:
        raise Unsupported(f"{made.sentence}; so no version was registered")
    made.save(output / ARTIFACT)
    (output / EVIDENCE).write_bytes(made.evidence.encode())


def _again(
    folder: Path, source: Source, rows: Rows, request: CompressRequest, teller: _Teller
) -> Compressed | None:
    """What the same request came to before, made and measured anew; None where that is not the same here."""
    path = folder / "fetch" / KNOWN
    if not path.is_file():
        return None
    known = msgspec.json.decode(path.read_bytes(), type=Known)
    name = " + ".join(known.recipe)
    teller.log(f"the same was asked for before: {name} is made again, and nothing is searched")
    try:
        made = compress(source, rows, request.wish, folder / AGAIN, recipe=known.recipe, listener=teller)
    except (Malformed, Unsupported) as error:
        teller.log(f"{error}; searching anew")
        return None
    if made.kept and made.evidence.digest == known.digest:
        return made
    teller.log(f"{name} does not come out as it did before; searching anew")
    return None


def load_evidence(folder: Path) -> Evidence:
    """Read what `search_smaller` left."""
    return Evidence.decode((folder / EVIDENCE).read_bytes())


def _rows(request: CompressRequest, info: ArtifactInfo, path: Path) -> Rows:
    target = request.target or ""
    data = read(path, target or None, format=request.data.format, seed=request.seed)
    columns = {series.name: series.to_numpy() for series in data.frame}
    return rows_of_table(info, columns, target=target, slices=request.slices)


class _Teller:
    """A search's events as those of a job's step: one step, whose progress is the time that it has used."""

    def __init__(self, tell: Listener, time_budget_s: float) -> None:
        self._tell = tell
        self._budget_s = time_budget_s
        self._began_s = time.monotonic()

    def __call__(self, event: Mapping[str, Any]) -> None:
        told = {**event, "step": "search"}
        if event["kind"] == "progress":
            share = min(_MOST, (time.monotonic() - self._began_s) / self._budget_s)
            told |= {"fraction": round(share, 4), "text": _WORDS[event["step"]].format(event["text"])}
        self._tell(told)

    def log(self, text: str) -> None:
        """Something worth knowing."""
        self._tell({"kind": "log", "step": "search", "text": text})

"""results.json: every measurement of every case, the newest of each."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.report import as_markdown
from bench.words import HERE, CaseResult

_RAW = HERE / "results.json"
_PAGE = HERE / "RESULTS.md"


def load(path: Path = _RAW) -> dict[str, CaseResult]:
    """What was measured before, by case."""
    if not path.exists():
        return {}
    return {each.case: each for each in msgspec.json.decode(path.read_bytes(), type=list[CaseResult])}


def keep(result: CaseResult, raw: Path = _RAW, page: Path = _PAGE) -> None:
    """Replace what is known of this case, and write the page anew."""
    results = load(raw) | {result.case: result}
    raw.write_bytes(encoded(list(results.values())))
    page.write_text(as_markdown(results))


def encoded(results: list[CaseResult]) -> bytes:
    """JSON with one measurement a line, so that two runs can be compared by eye."""
    return msgspec.json.encode(results).replace(b'{"subject":', b'\n{"subject":') + b"\n"

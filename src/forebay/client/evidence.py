"""What was measured about a version, in lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from forebay.client.shown import gist_of
from forebay.core.errors import Malformed

if TYPE_CHECKING:
    from forebay.workshop.compress import Evidence

_COMPRESSION = "compression"


def line_of(entry: Mapping[str, Any]) -> str:
    """One entry of the evidence without its kind: how far apart, on which rows, or its short values.

    >>> line_of({"kind": "parity", "source": "XGBoost 3", "rows": 40, "rows_off": 0, "edge_rows": 4,
    ...     "edge_rows_off": 0, "tolerance": 1e-4, "outputs": {"label": {"equal": 1.0},
    ...     "probabilities": {"max_difference": 1.19e-7, "mean_difference": 2e-9}}})
    'like XGBoost 3 on 40 rows and 4 edge rows, 0 of them off by more than 0.0001: label 100 % equal, \
probabilities at most 1.2e-07 apart (2e-09 on average)'
    """
    if entry.get("kind") == "parity" and isinstance(entry.get("outputs"), Mapping):
        return _parity(entry)
    if entry.get("kind") == _COMPRESSION and entry.get("sentence"):
        return str(entry["sentence"])
    return gist_of({name: value for name, value in entry.items() if name != "kind"})


def compression_in(evidence: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The entry that a compression left; empty where there is none."""
    return next((entry for entry in evidence if entry.get("kind") == _COMPRESSION), {})


def compression_of(evidence: Iterable[Mapping[str, Any]]) -> Evidence:
    """The same as the workshop has it; raises `Malformed` where there is none, or one that cannot be read."""
    from forebay.workshop.compress import Evidence  # noqa: PLC0415 (the workshop is not loaded for a look)

    try:
        return msgspec.convert(dict(compression_in(evidence)), Evidence, str_keys=True)
    except msgspec.ValidationError as error:
        raise Malformed(f"this version has no evidence of a compression that can be read: {error}") from error


def report_of(evidence: Evidence) -> bytes:
    """The page of a compression, in HTML."""
    from forebay.workshop.compress import front, page  # noqa: PLC0415 (as above)

    return page(evidence, front(evidence.tried)).encode()


def _parity(entry: Mapping[str, Any]) -> str:
    off = entry.get("rows_off", 0) + entry.get("edge_rows_off", 0)
    where = f"on {entry.get('rows')} rows and {entry.get('edge_rows', 0)} edge rows"
    told = f"like {entry.get('source')} {where}, {off} of them off by more than {entry.get('tolerance')}"
    return f"{told}: {', '.join(_output(name, found) for name, found in entry['outputs'].items())}"


def _output(name: str, found: Mapping[str, float]) -> str:
    if "equal" in found:
        return f"{name} {100 * found['equal']:.4g} % equal"
    most, mean = found.get("max_difference", 0.0), found.get("mean_difference", 0.0)
    return f"{name} at most {most:.2g} apart ({mean:.2g} on average)"

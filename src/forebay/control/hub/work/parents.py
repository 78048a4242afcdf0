"""Versions that others are made from: which may be compressed, and what is said of what came of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from forebay.control.hub.work.compressing import Known
from forebay.control.hub.work.requests import CompressRequest
from forebay.control.registry import CLAIMED, KIND, Registry, VersionRecord
from forebay.core import ModelRef
from forebay.core.errors import Conflict, Malformed, Unsupported
from forebay.workshop.compress import Evidence
from forebay.workshop.train.lineage import release_of

_LABELLED = ("", "classification", "regression")


def parent_of(registry: Registry, project: str, ref: ModelRef) -> VersionRecord:
    """What *ref* means here: of a model's name alone, its newest version that was not itself compressed.

    So the same command twice begins with the same version. Raises `NotFound`.
    """
    if ref.version is None and ref.alias is None:
        for record in reversed(registry.versions(project, ref.model)):
            if record.retired_at is None and not _compression(record):
                return record
    return registry.version(project, ref)


def pinned(request: CompressRequest, parent: VersionRecord) -> CompressRequest:
    """*request* with the version that it means, and the column that has the right answers.

    Raises `Conflict` for a retired version, `Unsupported` for one that cannot be compressed, and `Malformed`
    where a promise cannot be judged.
    """
    check_parent(parent)
    needs = [promise.metric for promise in request.wish.keep if promise.about.labelled]
    if needs and parent.info.task not in _LABELLED:
        raise Malformed(
            f"{needs[0]} is no figure of a model for {parent.info.task}; promise cosine>=0.99 instead"
        )
    target = request.target if request.target is not None else _target_of(parent)
    if needs and not target:
        raise Malformed(f"{needs[0]} needs the right answers; name their column: --target COLUMN")
    name = f"{parent.model}:{parent.version}"
    return replace(
        request, model=name, target=target if needs else request.target, name=request.name or parent.model
    )


def check_parent(parent: VersionRecord) -> None:
    """Raise `Conflict` or `Unsupported` unless *parent* can be compressed."""
    name = f"version {parent.version} of {parent.model!r}"
    if parent.retired_at is not None:
        raise Conflict(f"{name} is retired; choose another, or publish it again")
    if parent.info.code or parent.info.backend == "python":
        raise Unsupported(f"{name} is Python code, which nothing can compress; publish the model itself")
    if not parent.info.signature.batches:
        raise Unsupported(f"{name} takes one row at a time; only what takes several rows can be compressed")


def _target_of(parent: VersionRecord) -> str | None:
    """The column that *parent* was trained for, or proved with when it was itself compressed."""
    for part in ("recipe", "data"):
        told = parent.lineage.get(part)
        if isinstance(told, dict) and isinstance(told.get("target"), str) and told["target"]:
            return str(told["target"])
    return None


def made_before(
    request: CompressRequest, parent: VersionRecord, versions: Iterable[VersionRecord]
) -> Known | None:
    """How the newest of *versions* that came of the very same request was made; a longer search will do."""
    wanted = _asked(request)
    for record in sorted(versions, key=lambda each: -each.version):
        found, asked = _compression(record), record.lineage.get("asked")
        if not found or record.retired_at is not None or not isinstance(asked, dict):
            continue
        same = {name: asked.get(name) for name in wanted} == wanted
        long_enough = float(asked.get("time_budget_s", 0.0)) >= request.time_budget_s
        if same and long_enough and found.get("source_digest") == parent.artifact:
            return Known(tuple(found["recipe"]), str(found["digest"]))
    return None


def lineage_of(request: CompressRequest, parent: VersionRecord, evidence: Evidence) -> dict[str, Any]:
    """Out of what a compressed version came, and enough to make it again."""
    rows = sum(int(str(part["rows"])) for part in evidence.parts.values())
    return {
        "parent": request.model,
        "parent_digest": parent.artifact,
        "data": {"sha256": request.data.sha256, "rows": rows, "target": request.target or ""},
        "recipe": {"steps": list(evidence.recipe)},
        "asked": {**_asked(request), "time_budget_s": request.time_budget_s},
        "code": {"forebay": release_of("forebay")},
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _compression(record: VersionRecord) -> dict[str, Any]:
    """The evidence that *record* was compressed; empty if it was not."""
    return next(
        (entry for entry in record.evidence if entry.get("kind") == KIND and CLAIMED not in entry), {}
    )


def _asked(request: CompressRequest) -> dict[str, Any]:
    """What makes two requests the same, but for the source and the time."""
    return {
        "data": request.data.sha256,
        "target": request.target or "",
        "slices": list(request.slices),
        "keep": ", ".join(map(str, request.wish.keep)),
        "goal": request.goal,
        "seed": request.seed,
    }

"""The kinds of jobs that a hub knows: which steps they have, and what the hub itself does of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from forebay.control.hub.work.compressing import KNOWN, SOURCE, load_evidence
from forebay.control.hub.work.parents import check_parent, lineage_of, made_before, parent_of, pinned
from forebay.control.hub.work.publishing import read_evidence
from forebay.control.hub.work.requests import (
    CompressRequest,
    PublishRequest,
    Request,
    ScriptRequest,
    TrainRequest,
    request_of,
)
from forebay.control.jobs import Errand, JobKind, Step
from forebay.control.registry import CLAIMED, KIND, Registry
from forebay.control.store import Blobs
from forebay.core import INFO_NAME, ArtifactInfo, FileEntry, Manifest, ModelRef
from forebay.core.errors import Malformed, NotFound, Unsupported
from forebay.core.runs import PUBLISHED, SAID, RunSaid
from forebay.workshop.compress import card_of
from forebay.workshop.train import ARTIFACT, load_report

_CHUNK_BYTES = 1 << 20
_MOST_DEATHS = 10
"""How often a search may be killed by a candidate: one that did it twice is not tried again."""


def job_kinds(blobs: Blobs, registry: Registry, *, allow_code: bool = False) -> dict[str, JobKind]:
    """Every kind, by its name; scripts are run only with *allow_code*."""
    return {
        "train": _train(blobs, registry),
        "publish": _publish(blobs, registry),
        "compress": _compress(blobs, registry),
        "script": _script(blobs, registry, allow_code=allow_code),
    }


def _train(blobs: Blobs, registry: Registry) -> JobKind:
    def check(_project: str, values: dict[str, Any]) -> dict[str, Any]:
        request = request_of(TrainRequest, values)
        _data_must_be_there(blobs, request.data.sha256)
        return _plain(request)

    def fetch(errand: Errand) -> None:
        request = request_of(TrainRequest, errand.request)
        _copy(blobs, request.data.sha256, errand.output / request.file_name)

    def register(errand: Errand) -> dict[str, Any]:
        request = request_of(TrainRequest, errand.request)
        built = errand.folder / "build"
        report = load_report(built)
        manifest = _upload(blobs, built / ARTIFACT)
        info = ArtifactInfo.decode((built / ARTIFACT / INFO_NAME).read_bytes())
        said = (report.card, report.lineage, list(report.evidence))
        record = registry.register_version(
            errand.project, request.name, manifest, info, *said, job_id=errand.job_id
        )
        found = {"model": record.model, "version": record.version, "digest": record.artifact}
        return found | {"estimator": report.estimator, "scores": report.scores}

    children = (Step("prepare"), Step("choose", weight=6.0), Step("build", weight=3.0))
    steps = (Step("fetch", fetch, weight=0.2), *children, Step("register", register, final=True, weight=0.2))
    return JobKind("train", steps, check, _command("train"))


def _publish(blobs: Blobs, registry: Registry) -> JobKind:
    def check(_project: str, values: dict[str, Any]) -> dict[str, Any]:
        request = request_of(PublishRequest, values)
        _must_be_there(blobs, request.manifest)
        return _plain(request)

    def fetch(errand: Errand) -> None:
        for entry in request_of(PublishRequest, errand.request).manifest.files:
            _copy(blobs, entry.sha256, errand.output / entry.path)

    def register(errand: Errand) -> dict[str, Any]:
        request = request_of(PublishRequest, errand.request)
        info = ArtifactInfo.decode((errand.folder / "fetch" / INFO_NAME).read_bytes())
        evidence = [*_claimed(request.evidence, errand), read_evidence(errand.folder / "verify")]
        said = (request.card, request.lineage, evidence)
        record = registry.register_version(
            errand.project, request.name, request.manifest, info, *said, job_id=errand.job_id
        )
        return {"model": record.model, "version": record.version, "digest": record.artifact}

    steps = (Step("fetch", fetch), Step("verify", weight=3.0), Step("register", register, final=True))
    return JobKind("publish", steps, check, _command("publish"))


def _compress(blobs: Blobs, registry: Registry) -> JobKind:
    def check(project: str, values: dict[str, Any]) -> dict[str, Any]:
        request = request_of(CompressRequest, values)
        parent = parent_of(registry, project, ModelRef.parse(request.model))
        _data_must_be_there(blobs, request.data.sha256)
        return _plain(pinned(request, parent))

    def fetch(errand: Errand) -> None:
        request = request_of(CompressRequest, errand.request)
        parent = registry.version(errand.project, ModelRef.parse(request.model))
        check_parent(parent)  # it may have been retired since
        for entry in parent.manifest.files:
            _copy(blobs, entry.sha256, errand.output / SOURCE / entry.path)
        _copy(blobs, request.data.sha256, errand.output / request.file_name)
        try:
            siblings = registry.versions(errand.project, request.name)
        except NotFound:  # a new name: this is its first version
            siblings = []
        known = made_before(request, parent, siblings)
        if known is not None:
            (errand.output / KNOWN).write_bytes(msgspec.json.encode(known))

    def register(errand: Errand) -> dict[str, Any]:
        request = request_of(CompressRequest, errand.request)
        parent = registry.version(errand.project, ModelRef.parse(request.model))
        found = errand.folder / "search"
        evidence = load_evidence(found)
        manifest = _upload(blobs, found / ARTIFACT)
        info = ArtifactInfo.decode((found / ARTIFACT / INFO_NAME).read_bytes())
        card = card_of(request.name, request.model, evidence)
        said = (card, lineage_of(request, parent, evidence), [msgspec.to_builtins(evidence, str_keys=True)])
        record = registry.register_version(
            errand.project, request.name, manifest, info, *said, job_id=errand.job_id
        )
        told = {"model": record.model, "version": record.version, "digest": record.artifact}
        return told | {"parent": request.model, "sentence": evidence.sentence}

    steps = (
        Step("fetch", fetch, weight=0.2),
        Step("search", weight=9.0, restarts=_MOST_DEATHS),
        Step("register", register, final=True, weight=0.2),
    )
    return JobKind("compress", steps, check, _command("compress"))


def _script(blobs: Blobs, registry: Registry, *, allow_code: bool) -> JobKind:
    def check(_project: str, values: dict[str, Any]) -> dict[str, Any]:
        if not allow_code:
            raise Unsupported(
                "this hub runs no scripts of others; its operator may allow it with FOREBAY_ALLOW_CODE=1"
            )
        request = request_of(ScriptRequest, values)
        _must_be_there(blobs, request.files)
        return _plain(request)

    def fetch(errand: Errand) -> None:
        for entry in request_of(ScriptRequest, errand.request).files.files:
            _copy(blobs, entry.sha256, errand.output / entry.path)

    def register(errand: Errand) -> dict[str, Any]:
        request, ran = request_of(ScriptRequest, errand.request), errand.folder / "run"
        if not (ran / PUBLISHED).is_dir():
            return {}
        manifest = _upload(blobs, ran / PUBLISHED)
        info = ArtifactInfo.decode((ran / PUBLISHED / INFO_NAME).read_bytes())
        said = msgspec.json.decode((ran / SAID).read_bytes(), type=RunSaid)
        lineage = {**said.lineage, "script": request.files.digest, "parameters": request.parameters}
        evidence = [*_claimed(said.evidence, errand), read_evidence(ran)]
        record = registry.register_version(
            errand.project,
            request.name,
            manifest,
            info,
            said.card or "",
            lineage,
            evidence,
            job_id=errand.job_id,
        )
        return {"model": record.model, "version": record.version, "digest": record.artifact}

    steps = (
        Step("fetch", fetch, weight=0.2),
        Step("run", weight=9.0),
        Step("register", register, final=True, weight=0.2),
    )
    return JobKind("script", steps, check, _command("script"))


def _claimed(evidence: Iterable[dict[str, Any]], errand: Errand) -> list[dict[str, Any]]:
    """*evidence* that was sent along: what it says of losses is marked, and opens no gate."""
    return [entry | {CLAIMED: errand.job_id} if entry.get("kind") == KIND else entry for entry in evidence]


def _plain(request: Request) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(request)
    return values


def _command(kind: str) -> Callable[[str, Path], list[str]]:
    return lambda step, folder: [sys.executable, "-m", "forebay.control.hub.work", kind, step, str(folder)]


def _data_must_be_there(blobs: Blobs, sha256: str) -> None:
    if blobs.touch(sha256) is None:
        raise Malformed(f"upload the data first: there is no blob {sha256}")


def _must_be_there(blobs: Blobs, manifest: Manifest) -> None:
    missing = [entry.path for entry in manifest.files if not _is_there(blobs, entry)]
    if missing:
        names = ", ".join(map(repr, missing[:5]))
        raise Malformed(f"upload these files first, they are missing or of another size: {names}")


def _is_there(blobs: Blobs, entry: FileEntry) -> bool:
    return blobs.touch(entry.sha256) == entry.size_bytes


def _copy(blobs: Blobs, sha256: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with blobs.open(sha256) as source, path.open("wb") as target:
        target.writelines(_chunks(source))


def _upload(blobs: Blobs, folder: Path) -> Manifest:
    manifest = Manifest.of_folder(folder)
    for entry in manifest.files:
        with (folder / entry.path).open("rb") as file:
            blobs.put(_chunks(file), entry.sha256)
    return manifest


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk

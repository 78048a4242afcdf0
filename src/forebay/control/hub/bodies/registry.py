"""Models, versions, aliases and blobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from forebay.control.hub.bodies.base import Asked, Told
from forebay.control.registry import VersionRecord

_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_TIME = "2026-11-22T09:30:00Z"
_ALIAS: JsonDict = {"name": "champion", "version": 3, "protected": False, "updated_at": _TIME}
_MODEL: JsonDict = {
    "project": "default",
    "name": "digits",
    "latest": 3,
    "versions": 3,
    "task": "classification",
    "aliases": [_ALIAS],
    "created_at": _TIME,
}
_VERSION: JsonDict = {
    "project": "default",
    "model": "digits",
    "version": 3,
    "digest": _DIGEST,
    "size_bytes": 48_120,
    "task": "classification",
    "backend": "onnxruntime",
    "code": False,
    "signature": {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64], "columns": [], "nan": False}],
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1], "columns": [], "nan": True}],
    },
    "card": "# Digits\nReads handwritten digits.",
    "lineage": {"job": "job-7"},
    "evidence": [{"metric": "accuracy", "value": 0.97, "rows": 360}],
    "aliases": [],
    "state": "retired",
    "created_at": _TIME,
    "retired_at": "2026-12-24T18:00:00Z",
    "files": [{"path": "forebay.json", "size_bytes": 412, "sha256": _DIGEST}],
}


def _examples(*values: JsonDict) -> JsonDict:
    return {"examples": list(values)}


class BlobAnswer(Told):
    """A blob that is kept."""

    model_config = ConfigDict(json_schema_extra=_examples({"sha256": _DIGEST, "size_bytes": 48_120}))

    sha256: str
    size_bytes: int


class CollectedAnswer(Told):
    """What a collection removed."""

    model_config = ConfigDict(json_schema_extra=_examples({"blobs": 2, "size_bytes": 96_240}))

    blobs: int
    size_bytes: int


class TensorAnswer(Told):
    """A tensor that a version takes or gives; -1 stands for a length that varies."""

    name: str
    datatype: str
    shape: list[int]
    columns: list[str]
    nan: bool


class SignatureAnswer(Told):
    """What a version takes and gives."""

    inputs: list[TensorAnswer]
    outputs: list[TensorAnswer]


class FileAnswer(Told):
    """A file of a version."""

    path: str
    size_bytes: int
    sha256: str


class VersionAnswer(Told):
    """An immutable artifact of a model, and everything that was said about it."""

    model_config = ConfigDict(json_schema_extra=_examples(_VERSION))

    project: str
    model: str
    version: int
    digest: str
    size_bytes: int
    task: str
    backend: str
    code: bool = Field(description="Whether serving it runs Python of its owner's.")
    signature: SignatureAnswer
    card: str
    lineage: dict[str, Any]
    evidence: list[dict[str, Any]]
    aliases: list[str]
    state: str
    created_at: datetime
    retired_at: datetime | None
    files: list[FileAnswer]

    @classmethod
    def of(cls, record: VersionRecord) -> VersionAnswer:
        """As the API shows *record*."""
        return cls(
            project=record.project,
            model=record.model,
            version=record.version,
            digest=record.artifact,
            size_bytes=record.manifest.size_bytes,
            task=record.info.task,
            backend=record.info.backend,
            code=record.info.code,
            signature=SignatureAnswer.model_validate(record.info.signature),
            card=record.card,
            lineage=record.lineage,
            evidence=record.evidence,
            aliases=list(record.aliases),
            state=record.state,
            created_at=record.created_at,
            retired_at=record.retired_at,
            files=[FileAnswer.model_validate(entry) for entry in record.manifest.files],
        )


class VersionList(Told):
    """The versions of a model, oldest first."""

    model_config = ConfigDict(json_schema_extra=_examples({"items": [_VERSION]}))

    items: list[VersionAnswer]


class AliasAnswer(Told):
    """A movable name, and the version it names now; a protected one moves only through the gate."""

    model_config = ConfigDict(json_schema_extra=_examples(_ALIAS))

    name: str
    version: int
    protected: bool
    updated_at: datetime


class AliasList(Told):
    """The aliases of a model, by name."""

    model_config = ConfigDict(json_schema_extra=_examples({"items": [_ALIAS]}))

    items: list[AliasAnswer]


class AliasMove(Asked):
    """The version that an alias is to name, and whether the gate is to stand before it (null: as it is).

    With `override`, a reason, the gate's refusal is written down and passed by.
    """

    model_config = ConfigDict(json_schema_extra=_examples({"version": 1}))

    version: int = Field(ge=1, strict=True)
    protected: bool | None = Field(default=None, strict=True)
    override: str | None = None


class ModelAnswer(Told):
    """A model: `latest` is its newest active version, `versions` how many there ever were."""

    model_config = ConfigDict(json_schema_extra=_examples(_MODEL))

    project: str
    name: str
    latest: int | None
    versions: int
    task: str
    aliases: list[AliasAnswer]
    created_at: datetime


class ModelList(Told):
    """The models of a project, by name."""

    model_config = ConfigDict(json_schema_extra=_examples({"items": [_MODEL]}))

    items: list[ModelAnswer]

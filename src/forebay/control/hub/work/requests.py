"""What is asked of the work: read by the hub when a job is submitted, and by its children."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from forebay.core import INFO_NAME, Manifest, checked_name
from forebay.core.artifact import checked_digest
from forebay.core.errors import Malformed
from forebay.core.runs import Parameter
from forebay.workshop.train.recipe import Recipe, one_of

FORMATS = ("csv", "parquet", "jsonl", "images")


class DataRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data set that has been uploaded as a blob."""

    sha256: str
    format: str = "csv"


class TrainRequest(Recipe, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A recipe, what it is applied to, and the model that comes out."""

    data: DataRef
    name: str

    def __post_init__(self) -> None:
        """Refuse what can never work."""
        super().__post_init__()
        checked_name(self.name)
        checked_digest(self.data.sha256)
        one_of(self.data.format, FORMATS, "format")

    @property
    def file_name(self) -> str:
        """What the data set is called below the job's folder."""
        return f"data.{self.data.format}"


class PublishRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An artifact whose files have been uploaded, and what is said about it."""

    name: str
    manifest: Manifest
    card: str = ""
    lineage: dict[str, Any] = {}
    evidence: list[dict[str, Any]] = []

    def __post_init__(self) -> None:
        """Refuse what can never work."""
        checked_name(self.name)
        Manifest.decode(self.manifest.encode())
        if not any(entry.path == INFO_NAME for entry in self.manifest.files):
            raise Malformed(f"the manifest has no {INFO_NAME}; publish what forebay.convert(…).save(…) wrote")


class ScriptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A script of somebody's, files that lie beside it, and what it is started with."""

    name: str
    script: str
    files: Manifest
    arguments: list[str] = []
    parameters: dict[str, Parameter] = {}

    def __post_init__(self) -> None:
        """Refuse what can never work."""
        checked_name(self.name)
        Manifest.decode(self.files.encode())
        if not self.script.endswith(".py") or all(entry.path != self.script for entry in self.files.files):
            raise Malformed(f"the files have no script {self.script!r}; it is one of them, and ends in .py")


Request = TypeVar("Request", bound=msgspec.Struct)


def request_of(kind: type[Request], values: dict[str, Any]) -> Request:
    """*values* as a request; raises `Malformed`."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise Malformed(f"the request does not fit: {error}") from error


def read_request(kind: type[Request], folder: Path) -> Request:
    """The request of the job in *folder*."""
    return msgspec.json.decode((folder / "request.json").read_bytes(), type=kind)

"""What is asked of the work: read by the hub when a job is submitted, and by its children."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from forebay.core import INFO_NAME, Manifest, ModelRef, checked_name
from forebay.core.artifact import checked_digest
from forebay.core.errors import Malformed
from forebay.core.runs import Parameter
from forebay.workshop.compress import Wish
from forebay.workshop.train.recipe import Recipe, one_of

FORMATS = ("csv", "parquet", "jsonl", "images")
TABLES = ("csv", "parquet", "jsonl")


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


class CompressRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version that is to become smaller or faster, what it may lose, and rows to prove it on.

    `model` is written `digits`, `digits:1` or `digits@champion`, and kept as the version that this meant.
    `target` is the column with the right answers; without one it is what the version was trained for, as
    far as a promise needs answers. `name` is the model that the new version belongs to: the same, mostly.
    """

    model: str
    data: DataRef
    keep: str
    goal: str = "latency"
    target: str | None = None
    slices: list[str] = []
    time_budget_s: float = 600.0
    seed: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what can never work."""
        reference = ModelRef.parse(self.model)
        checked_name(self.name or reference.model)
        checked_digest(self.data.sha256)
        one_of(self.data.format, TABLES, "format")
        promises = self.wish.keep
        named = {promise.where[0] for promise in promises if promise.where} - {"class"}
        if missing := sorted(named - set(self.slices)):
            raise Malformed(
                f"a promise speaks of {missing[0]!r}, which is no slice; name it: --slice {missing[0]}"
            )

    @property
    def wish(self) -> Wish:
        """The promises and the goal; raises `Malformed`."""
        return Wish.read(self.keep, self.goal, self.time_budget_s, self.seed)

    @property
    def file_name(self) -> str:
        """What the data set is called below the job's folder."""
        return f"data.{self.data.format}"


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

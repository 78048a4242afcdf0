"""Artifacts: files in a folder, addressed by the digest of their manifest.

An artifact holds `forebay.json` (an `ArtifactInfo`), the model file that it names, and whatever
else belongs to the version. Its digest is the SHA-256 of the manifest's canonical bytes, so one
digest vouches for every byte.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from forebay.core.errors import Malformed
from forebay.core.tensors import Signature

INFO_NAME = "forebay.json"
REPORT_NAME = "report.html"
CODE_FOLDER = "code"
"""Where an artifact keeps its owner's Python: the folder that the owner published, as it was."""

PRECISIONS = ("f32", "bf16")
_CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class FileEntry(msgspec.Struct, frozen=True):
    """One file: its path inside the artifact (with `/`), its size, its SHA-256 in hexadecimal."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The files of one artifact."""

    files: tuple[FileEntry, ...]

    def encode(self) -> bytes:
        """The canonical bytes: JSON, sorted by path, no white space."""
        ordered = sorted(self.files, key=lambda entry: entry.path)
        return msgspec.json.encode(Manifest(tuple(ordered)))

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Read and check a manifest; raises `Malformed` for paths that lead out, twins, or bad digests."""
        try:
            manifest = msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise Malformed(f"this is no manifest: {error}") from error
        seen: set[str] = set()
        for entry in manifest.files:
            checked_path(entry.path)
            checked_digest(entry.sha256)
            if entry.path in seen or entry.size_bytes < 0:
                raise Malformed(f"the manifest lists {entry.path!r} twice or with a negative size")
            seen.add(entry.path)
        return manifest

    @property
    def digest(self) -> str:
        """The artifact's address."""
        return hashlib.sha256(self.encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(entry.size_bytes for entry in self.files)

    @classmethod
    def of_folder(cls, folder: Path) -> Manifest:
        """Read every file below *folder* (links are refused) and write down what is there."""
        entries = []
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                raise Malformed(f"{path.name!r} is a link; an artifact holds plain files")
            if path.is_file():
                with path.open("rb") as file:
                    sha256, size = digest_of_stream(file)
                entries.append(FileEntry(path.relative_to(folder).as_posix(), size, sha256))
        return cls(tuple(entries))


class ArtifactInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `forebay.json` says: how to run the artifact, and what it takes and gives.

    `backend` names an implementation of `forebay.serving.runtime.Backend`; `model` is the file it
    loads; `sample`, if there is one, is a file with an OIP v2 JSON request of real rows; `task` is
    `classification`, `regression` or empty. `precision` is what a backend may compute floats in: `f32`,
    or `bf16` where the owner allows it. `entry`, in artifacts of the backend `python` only, names a
    function or a class in the owner's code as `module:name`; `forebay.serving.runtime` says how such an
    artifact is laid out.
    """

    signature: Signature
    backend: str = "onnxruntime"
    model: str = "model.onnx"
    sample: str = ""
    task: str = ""
    precision: str = "f32"
    entry: str = ""
    format: int = 1

    @property
    def code(self) -> bool:
        """Whether serving it runs Python of its owner's, which a node does only where it is allowed to."""
        return bool(self.entry)

    def encode(self) -> bytes:
        """As it stands in `forebay.json`."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def decode(cls, data: bytes) -> ArtifactInfo:
        """Read `forebay.json`; raises `Malformed`."""
        try:
            info = msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise Malformed(f"{INFO_NAME} cannot be read: {error}") from error
        if info.format != 1:
            raise Malformed(f"{INFO_NAME} has format {info.format}; this Forebay reads format 1")
        for name in filter(None, (info.model, info.sample)):
            checked_path(name)
        if info.precision not in PRECISIONS:
            raise Malformed(
                f"{INFO_NAME} has the precision {info.precision!r}; use {' or '.join(PRECISIONS)}"
            )
        if info.entry:
            _check_code(info)
        return info


def _check_code(info: ArtifactInfo) -> None:
    if info.backend != "python":
        raise Malformed(
            f"{INFO_NAME} has an entry, and its backend is {info.backend!r}; only `python` runs code"
        )
    checked_entry(info.entry)
    if not info.model.startswith(f"{CODE_FOLDER}/"):
        raise Malformed(
            f"{INFO_NAME} has an entry, so its model is a file in {CODE_FOLDER}/, not {info.model!r}"
        )


def checked_entry(entry: str) -> str:
    """*entry* itself if it says `module:name`; raises `Malformed`.

    >>> checked_entry("fraud.scoring:predict")
    'fraud.scoring:predict'
    >>> checked_entry("scoring.py")
    Traceback (most recent call last):
    forebay.core.errors.Malformed: 'scoring.py' names no function; write module:name, like scoring:predict
    """
    if _ENTRY.fullmatch(entry) is None:
        raise Malformed(f"{entry[:80]!r} names no function; write module:name, like scoring:predict")
    return entry


def is_digest(text: str) -> bool:
    """Whether *text* is a SHA-256 in hexadecimal, as all our digests are written."""
    return _DIGEST.fullmatch(text) is not None


def checked_digest(digest: str) -> str:
    """*digest* itself if it is a SHA-256 in hexadecimal; raises `Malformed`."""
    if not is_digest(digest):
        raise Malformed(f"{digest[:80]!r} is no SHA-256 digest (64 hexadecimal digits)")
    return digest


def checked_path(path: str) -> str:
    """*path* itself if it stays inside its folder; raises `Malformed`.

    >>> checked_path("model/weights.onnx")
    'model/weights.onnx'
    >>> checked_path("../hub.db")
    Traceback (most recent call last):
    forebay.core.errors.Malformed: '../hub.db' is no plain path inside an artifact
    """
    parts = path.split("/")
    plain = all(part not in ("", ".", "..") for part in parts)
    if not plain or "\\" in path or "\0" in path or PurePosixPath(path).is_absolute() or len(path) > 512:
        raise Malformed(f"{path[:80]!r} is no plain path inside an artifact")
    return path


def digest_of_stream(stream: BinaryIO) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and the length in bytes, in constant memory."""
    sha256, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK_BYTES):
        sha256.update(chunk)
        size += len(chunk)
    return sha256.hexdigest(), size

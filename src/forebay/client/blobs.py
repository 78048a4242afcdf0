"""Files to the hub, by digest: what is there already is not sent again."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from forebay.client.door import Door
from forebay.client.progress import Progress
from forebay.client.shown import bytes_text
from forebay.core import FileEntry, Manifest
from forebay.core.artifact import digest_of_stream
from forebay.core.errors import Malformed

_CHUNK_BYTES = 1 << 18
_ABSENT = frozenset({HTTPStatus.NOT_FOUND})


def upload_folder(door: Door, project: str, folder: Path, progress: Progress) -> Manifest:
    """Send the files of *folder* that the hub does not have yet, and say what the folder is."""
    manifest = Manifest.of_folder(folder)
    for entry in manifest.files:
        _upload(door, project, folder / entry.path, entry, progress)
    return manifest


def upload_file(door: Door, project: str, path: Path, progress: Progress) -> FileEntry:
    """Send one file, unless the hub has it; constant memory whatever its size."""
    if not path.is_file():
        raise Malformed(f"there is no file {path}")
    with path.open("rb") as file:
        sha256, size = digest_of_stream(file)
    entry = FileEntry(path.name, size, sha256)
    _upload(door, project, path, entry, progress)
    return entry


def _upload(door: Door, project: str, path: Path, entry: FileEntry, progress: Progress) -> None:
    address = f"/api/v1/projects/{project}/blobs/{entry.sha256}"
    if door.send("HEAD", address, absent=_ABSENT).status_code != HTTPStatus.NOT_FOUND:
        return
    progress.step(f"uploading {entry.path} ({bytes_text(entry.size_bytes)})")
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(entry.size_bytes)}
    door.send("PUT", address, body=lambda: _chunks(path, entry.size_bytes, progress), headers=headers)


def _chunks(path: Path, size_bytes: int, progress: Progress) -> Iterator[bytes]:
    sent = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            progress.at(sent / size_bytes)

"""Blobs: bytes kept under the SHA-256 of their content.

Good bytes are never written over; a digest vouches for them. A blob that nothing refers to stays for a
grace period after somebody last uploaded it or asked for it (`touch`), so that a publication which is
under way finds the files it was told are there.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from forebay.core.artifact import checked_digest, digest_of_stream
from forebay.core.errors import Malformed, NotFound, StorageFull, TooLarge

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Blobs(Protocol):
    """Where bytes are kept by digest. Every method blocks, and may be called from any thread."""

    def put(self, chunks: Iterable[bytes], sha256: str, *, limit_bytes: int | None = None) -> int:
        """Keep what *chunks* yields, in constant memory, and give its size in bytes.

        Nothing is kept when *chunks* raises or the digest differs (`Malformed`), at more than *limit_bytes*
        (`TooLarge`), and when the disk is full (`StorageFull`). A blob that is there already is kept as
        it is, and counts as new again; if its bytes have been damaged, these replace them.
        """

    def open(self, sha256: str) -> BinaryIO:
        """The bytes, for reading; raises `NotFound`."""

    def size(self, sha256: str) -> int | None:
        """The size in bytes; None if there is no such blob."""

    def touch(self, sha256: str) -> int | None:
        """As `size`, and the blob counts as new again: for whoever is about to refer to it."""

    def delete(self, sha256: str, *, older_than_s: float = 0.0) -> bool:
        """Remove a blob, unless it is younger; whether one was removed."""

    def all(self) -> Iterator[tuple[str, float]]:
        """Every blob and its age in seconds, since it was last put or touched."""

    def tidy(self, older_than_s: float) -> None:
        """Remove what uploads that never ended have left behind."""


class Collected(msgspec.Struct, frozen=True):
    """What a collection removed."""

    blobs: int
    size_bytes: int


def collect(blobs: Blobs, referenced: Collection[str], older_than_s: float) -> Collected:
    """Remove every blob that is not *referenced* and has been of no interest for *older_than_s*.

    Find out what is referenced first, then call: whoever begins to refer to a blob later touches it.
    """
    count = size_bytes = 0
    for sha256, age_s in blobs.all():
        if sha256 in referenced or age_s < older_than_s:
            continue
        size = blobs.size(sha256)
        if size is not None and blobs.delete(sha256, older_than_s=older_than_s):
            count, size_bytes = count + 1, size_bytes + size
    blobs.tidy(older_than_s)
    return Collected(count, size_bytes)


class FolderBlobs:
    """Blobs as files: `ab/abcdef…` below *root*; uploads grow in `incoming/` on the same file system."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"

    def put(self, chunks: Iterable[bytes], sha256: str, *, limit_bytes: int | None = None) -> int:
        path = self.path(sha256)
        self._incoming.mkdir(parents=True, exist_ok=True)
        arriving = self._incoming / secrets.token_hex(16)
        try:
            with _full_disks_named(), arriving.open("xb") as file:
                size = _write_checked(file, chunks, sha256, limit_bytes)
                file.flush()
                os.fsync(file.fileno())
            if not self._keeps_good(path, sha256):
                with _full_disks_named():
                    path.parent.mkdir(exist_ok=True)
                    arriving.replace(path)
                    _sync_folder(path.parent)
        finally:
            arriving.unlink(missing_ok=True)
        return size

    def open(self, sha256: str) -> BinaryIO:
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise _absent(sha256) from None

    def size(self, sha256: str) -> int | None:
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def touch(self, sha256: str) -> int | None:
        try:
            os.utime(self.path(sha256))
        except FileNotFoundError:
            return None
        return self.size(sha256)

    def delete(self, sha256: str, *, older_than_s: float = 0.0) -> bool:
        path = self.path(sha256)
        self._incoming.mkdir(parents=True, exist_ok=True)
        aside = self._incoming / secrets.token_hex(16)
        try:
            if _age_s(path) < older_than_s:
                return False
            path.rename(aside)
        except FileNotFoundError:
            return False
        if _age_s(aside) < older_than_s:  # touched since we looked: whoever did it was told that it is there
            aside.replace(path)
            return False
        aside.unlink()
        return True

    def all(self) -> Iterator[tuple[str, float]]:
        for path in sorted(self._root.glob("[0-9a-f][0-9a-f]/*")):
            with suppress(FileNotFoundError, Malformed):  # removed by another hub, or no blob of ours
                yield checked_digest(path.name), _age_s(path)

    def tidy(self, older_than_s: float) -> None:
        for path in self._incoming.glob("*"):
            with suppress(FileNotFoundError):
                if _age_s(path) >= older_than_s:
                    path.unlink()

    def path(self, sha256: str) -> Path:
        """Where a blob lies, or would lie."""
        return self._root / checked_digest(sha256)[:2] / sha256

    def _keeps_good(self, path: Path, sha256: str) -> bool:
        """Whether the very bytes are there already; they count as new then."""
        try:
            os.utime(path)
            with path.open("rb") as file:
                return digest_of_stream(file)[0] == sha256
        except FileNotFoundError:
            return False


class MemoryBlobs:
    """Blobs in a dictionary, for tests and for trying things out."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    def put(self, chunks: Iterable[bytes], sha256: str, *, limit_bytes: int | None = None) -> int:
        checked_digest(sha256)
        arriving = io.BytesIO()
        size = _write_checked(arriving, chunks, sha256, limit_bytes)
        with self._lock:
            self._kept[sha256] = arriving.getvalue(), time.time()
        return size

    def open(self, sha256: str) -> BinaryIO:
        with self._lock:
            if checked_digest(sha256) not in self._kept:
                raise _absent(sha256)
            return io.BytesIO(self._kept[sha256][0])

    def size(self, sha256: str) -> int | None:
        with self._lock:
            kept = self._kept.get(checked_digest(sha256))
            return None if kept is None else len(kept[0])

    def touch(self, sha256: str) -> int | None:
        with self._lock:
            kept = self._kept.get(checked_digest(sha256))
            if kept is None:
                return None
            self._kept[sha256] = kept[0], time.time()
            return len(kept[0])

    def delete(self, sha256: str, *, older_than_s: float = 0.0) -> bool:
        with self._lock:
            kept = self._kept.get(checked_digest(sha256))
            if kept is None or time.time() - kept[1] < older_than_s:
                return False
            del self._kept[sha256]
            return True

    def all(self) -> Iterator[tuple[str, float]]:
        with self._lock:
            kept = sorted(self._kept.items())
        return ((sha256, time.time() - since) for sha256, (_, since) in kept)

    def tidy(self, older_than_s: float) -> None:
        pass


def _write_checked(file: BinaryIO, chunks: Iterable[bytes], sha256: str, limit_bytes: int | None) -> int:
    found, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if limit_bytes is not None and size > limit_bytes:
            raise TooLarge(f"a blob may have {limit_bytes:,} bytes here, and this one has more")
        found.update(chunk)
        file.write(chunk)
    if found.hexdigest() != sha256:
        raise Malformed(
            f"the {size:,} bytes received have the SHA-256 {found.hexdigest()}, not {sha256}; send them again"
        )
    return size


@contextmanager
def _full_disks_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                "the disk that keeps the blobs is full; free some space and try again"
            ) from error
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename inside *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _absent(sha256: str) -> NotFound:
    return NotFound(f"there is no blob {sha256}; upload it first")

"""Artifacts on this node's disk: fetched by digest, verified to the last byte, before anything reads them."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from forebay.core import FileEntry, Manifest
from forebay.core.errors import Broken, StorageFull
from forebay.serving.node.hub import HubLink

_KEPT_S = 600.0
_AT_ONCE = 8
_log = logging.getLogger("forebay.node")


class Artifacts:
    """Folders named by digest below *folder*."""

    def __init__(self, folder: Path, hub: HubLink) -> None:
        self._folder = folder
        self._hub = hub
        self._fetching: dict[str, asyncio.Task[Path]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*-*"):
            if not _works(leftover):
                shutil.rmtree(leftover, ignore_errors=True)

    async def get(self, digest: str) -> Path:
        """The verified folder of *digest*; those who ask at the same time share one download.

        Raises `Broken` for bytes that are not what the digest says, `NotReady` without the hub, and
        `StorageFull`.
        """
        task = self._fetching.get(digest)
        if task is None:
            task = self._fetching[digest] = asyncio.create_task(self._get(digest))
            task.add_done_callback(lambda _: self._fetching.pop(digest, None))
        return await asyncio.shield(task)

    async def keep_only(self, digests: set[str]) -> None:
        """Delete what no deployment has needed for a while: who rolls back soon finds it still there.

        Another process of this node may do the same, or fetch, at the same time.
        """
        needed = digests | self._fetching.keys()
        await asyncio.to_thread(_tidy, self._folder, needed)

    async def _get(self, digest: str) -> Path:
        async with self._turns:
            return await self._checked(digest)

    async def _checked(self, digest: str) -> Path:
        folder = self._folder / digest
        if folder.is_dir():
            damage = await asyncio.to_thread(damage_of, folder, digest)
            if damage is None:
                return folder
            _log.warning("artifact %s on this disk is damaged (%s); fetching it again", digest[:12], damage)
            await asyncio.to_thread(shutil.rmtree, folder)
        await self._fetch(digest, folder)
        return folder

    async def _fetch(self, digest: str, folder: Path) -> None:
        manifest = await self._hub.manifest(digest)
        if manifest.digest != digest:
            raise Broken(f"the hub's manifest of artifact {digest[:12]} is not what its digest says")
        try:
            half = Path(tempfile.mkdtemp(prefix=f".fetch-{os.getpid()}-", dir=self._folder))
            try:
                for entry in manifest.files:
                    await self._fetch_file(entry, half / entry.path, digest)
                _put(half, folder)
            finally:
                await asyncio.to_thread(shutil.rmtree, half, ignore_errors=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(
                    f"no room on the disk for artifact {digest[:12]}; free some space"
                ) from error
            raise

    async def _fetch_file(self, entry: FileEntry, path: Path, digest: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        sha256, size = hashlib.sha256(), 0
        async with self._hub.blob(entry.sha256) as chunks:
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > entry.size_bytes:
                        break
                    sha256.update(chunk)
                    file.write(chunk)
        if size != entry.size_bytes or sha256.hexdigest() != entry.sha256:
            raise Broken(f"{entry.path} of artifact {digest[:12]} arrived truncated or altered; not loaded")


def _works(half: Path) -> bool:
    """Whether another process of this node is at it: its number stands in the name."""
    number = int(half.name.split("-")[1])
    if number == os.getpid():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tidy(root: Path, needed: AbstractSet[str]) -> None:
    now_s = time.time()
    for folder in root.glob("[!.]*"):
        with suppress(FileNotFoundError):  # somebody else was quicker
            if folder.name in needed:
                os.utime(folder)
            elif now_s - folder.stat().st_mtime > _KEPT_S:
                gone = folder.with_name(f".gone-{os.getpid()}-{folder.name}")
                folder.rename(gone)  # at once, so that nobody finds half of it
                shutil.rmtree(gone, ignore_errors=True)


def _put(half: Path, folder: Path) -> None:
    try:
        half.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise  # else another worker of this node was quicker, with the same bytes


def damage_of(folder: Path, digest: str) -> str | None:
    """What is wrong with the artifact in *folder*; None if it is, byte for byte, what *digest* says."""
    found = Manifest.of_folder(folder)
    if found.digest == digest:
        return None
    return f"its {len(found.files)} files have the digest {found.digest[:12]}"

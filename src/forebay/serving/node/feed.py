"""The next snapshot, by long poll; the last good one, on disk, for when the hub is away."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from forebay.core import ForebayError, Snapshot
from forebay.serving.node.hub import HubLink

NOTHING = Snapshot(hub="", number=0)
_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 2.0
_log = logging.getLogger("forebay.node")


class Feed:
    """Follows one hub and tells *apply* of each snapshot, the stored one first."""

    def __init__(self, path: Path, hub: HubLink, apply: Callable[[Snapshot], None]) -> None:
        self.current = NOTHING
        self.connected = False
        self._told = False
        self._path = path
        self._hub = hub
        self._apply = apply

    def restore(self) -> None:
        """Serve from what was known when this node last ran."""
        snapshot = read_snapshot(self._path)
        if snapshot is not None:
            self._take(snapshot)

    async def follow(self) -> None:
        """Poll until cancelled; nothing that a hub does or says ends it."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                snapshot = await self._hub.snapshot(self.current)
            except (ForebayError, msgspec.MsgspecError) as error:
                self._lost(error)
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                continue
            retry_s = _FIRST_RETRY_S
            self._found()
            if snapshot is not None:
                self._take(snapshot)
                await asyncio.to_thread(self._store, snapshot)

    def _take(self, snapshot: Snapshot) -> None:
        self.current = snapshot
        self._apply(snapshot)

    def _store(self, snapshot: Snapshot) -> None:
        try:
            write_snapshot(self._path, snapshot)
        except OSError as error:  # it is in force already; only the next start without a hub would miss it
            _log.error("snapshot %d cannot be kept on this disk: %s", snapshot.number, error)

    def _lost(self, error: Exception) -> None:
        if not self._told:
            _log.warning("%s; serving from snapshot %d and trying again", error, self.current.number)
        self._told = True
        self.connected = False

    def _found(self) -> None:
        if not self.connected:
            _log.info("connected to the hub")
        self.connected = True
        self._told = False


def read_snapshot(path: Path) -> Snapshot | None:
    """The stored snapshot; None if there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("the stored snapshot cannot be read (%s); waiting for the hub", error)
        return None


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Replace the stored snapshot, all of it or nothing. Raises `OSError`."""
    half = path.with_suffix(f".{os.getpid()}.half")
    with open(half, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(msgspec.json.encode(snapshot))
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)

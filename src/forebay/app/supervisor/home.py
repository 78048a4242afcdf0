"""The home folder: who runs from it, and how others find out."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from forebay.core.errors import Conflict, Forbidden, StorageFull

_HUB_LEAVES_S = 5.0
"""The hub of a supervisor that was killed is given this long to leave."""


class Part(msgspec.Struct, frozen=True):
    """One child: its process id (0 while it is down), how often it was started again, whether it answers."""

    pid: int = 0
    restarts: int = 0
    ready: bool = False


class Running(msgspec.Struct, frozen=True):
    """What `up.json` says about the supervisor of a home."""

    pid: int
    hub_url: str
    node_url: str
    grpc_url: str
    started_at: str
    release: str
    parts: dict[str, Part]
    trouble: str = ""
    stops_within_s: float = 60.0

    @property
    def ready(self) -> bool:
        """Whether everything has answered."""
        return all(part.ready for part in self.parts.values())


class Home:
    """One `$FOREBAY_HOME` as the supervisor and its visitors see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self._file = folder / "up.json"
        self._lock_file = folder / "up.lock"

    def prepare(self) -> None:
        """Make the folders; raises `Forbidden` or `StorageFull` with what to do."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            self._lock_file.touch()
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise Forbidden(
                f"{self.folder} cannot be used ({error.strerror}); "
                "name a folder of yours with --home or FOREBAY_HOME"
            ) from error
        except OSError as error:
            raise StorageFull(
                f"{self.folder} cannot be written ({error.strerror}); free some space"
            ) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one supervisor of this home; raises `Conflict` if there is one already."""
        self.prepare()
        with self._lock_file.open("r+b") as file:
            if not _locked(file):
                raise Conflict(
                    f"Forebay is already up in {self.folder}{self._who()}; stop it with `forebay down`, "
                    "or use another --home"
                )
            try:
                yield
            finally:
                self._file.unlink(missing_ok=True)

    @contextmanager
    def held_by_hub(self) -> Iterator[None]:
        """Be the one hub of this home, whose jobs nobody else may go on with; raises `Conflict`."""
        self.prepare()
        with (self.folder / "hub.lock").open("ab") as file:
            if not _locked(file, _HUB_LEAVES_S):
                raise Conflict(
                    f"another hub works on {self.folder}; stop it, or use another --home (two hubs may share "
                    "a PostgreSQL database, but no home)"
                )
            yield

    def is_held(self) -> bool:
        """Whether a supervisor is alive here, whatever `up.json` says."""
        try:
            with self._lock_file.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def write(self, running: Running) -> None:
        """Say what runs; readers see the old words or the new ones, never half of them."""
        draft = self._file.with_suffix(".draft")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(running)) + b"\n")
        draft.replace(self._file)

    def read(self) -> Running | None:
        """What runs here; None if nothing does, even if a killed supervisor left its words behind."""
        if not self.is_held():
            return None
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Running)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None  # it is about to write, or about to leave

    def _who(self) -> str:
        running = self.read()
        return "" if running is None else f" (process {running.pid}, hub at {running.hub_url})"


def _locked(file: IO[bytes], wait_s: float = 0.2) -> bool:
    """Whether the lock is ours now; a visitor who looks holds it for a moment, so one refusal is none."""
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.05)
        else:
            return True

"""A job's folder: what its steps leave for each other, and its log.

request.json   what was asked          log.txt     what its children wrote to standard error
report.html    a page about its work, if a child wrote one; it stays, as the log does
STEP/          complete output         STEP.part/  output that is growing, or was left behind
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from forebay.core import REPORT_NAME

_LOG = "log.txt"
_TAIL_LINES = 5
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The files of one job."""

    path: Path

    @property
    def log(self) -> Path:
        """Where children's standard error goes; it outlives the job."""
        return self.path / _LOG

    @property
    def report(self) -> Path:
        """Where a child may leave a page about its work; it outlives the job too."""
        return self.path / REPORT_NAME

    def lay_out(self, request: dict[str, Any]) -> None:
        """Make the folder and its `request.json`; harmless when both are there."""
        self.path.mkdir(parents=True, exist_ok=True)
        growing = self.path / "request.json.part"
        growing.write_bytes(msgspec.json.encode(request))
        growing.replace(self.path / "request.json")

    def complete(self, step: str) -> bool:
        """Whether *step* has left its output."""
        return (self.path / step).is_dir()

    def fresh_part(self, step: str) -> Path:
        """An empty folder for *step* to fill; what an earlier attempt left behind is removed."""
        part = self.path / f"{step}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        return part

    def keep_part(self, step: str) -> None:
        """The output of *step* is complete; one that an earlier attempt had completed makes room."""
        shutil.rmtree(self.path / step, ignore_errors=True)
        (self.path / f"{step}.part").rename(self.path / step)

    def tail(self) -> str:
        """The last lines of the log, in one line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return ""
        return " / ".join(line.strip() for line in lines[-_TAIL_LINES:] if line.strip())

    def clean(self) -> None:
        """Remove everything but the log and the report."""
        if not self.path.is_dir():
            return
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry not in (self.log, self.report):
                entry.unlink(missing_ok=True)

"""A process that works on jobs as a hub does, and may die when it registers.

python -m support.working_hub DATABASE_URL HOME [before register | after register]
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from forebay.control.hub.work.kinds import job_kinds
from forebay.control.jobs import Jobs
from forebay.control.registry import Registry, VersionRecord
from forebay.control.store import Database, FolderBlobs


class DyingRegistry(Registry):
    """Kills its process before or after a version is registered."""

    dies = ""

    def register_version(self, *values: Any, **named: Any) -> VersionRecord:
        if self.dies == "before register":
            os.kill(os.getpid(), signal.SIGKILL)
        record = super().register_version(*values, **named)
        if self.dies == "after register":
            os.kill(os.getpid(), signal.SIGKILL)
        return record


def main(database_url: str, home: Path, dies: str) -> None:
    """Work until killed; each line of standard input is a training, a script or a compression to submit."""
    database, blobs = Database(database_url), FolderBlobs(home / "blobs")
    registry = DyingRegistry(database, blobs)
    registry.dies = dies
    system_url = f"sqlite:///{home / 'jobs.db'}" if database.sqlite else database_url
    jobs = Jobs(database, system_url, home / "jobs", job_kinds(blobs, registry, allow_code=True))
    jobs.start()
    _say("ready")
    for line in sys.stdin:
        request = json.loads(line)
        _say(jobs.submit("default", _kind_of(request), request, "key"))


def _kind_of(request: dict[str, Any]) -> str:
    words = {"script": "script", "keep": "compress"}
    return next((kind for word, kind in words.items() if word in request), "train")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])

"""What the job of a script and `forebay.run()` inside it agree on: a folder, and a pipe for what it tells.

run.json       what was asked          kept/        checkpoints; they outlive a `kill -9`
published/     the version it makes    said.json    what is said about that
"""

from __future__ import annotations

from typing import Any

import msgspec

RUN_FOLDER = "FOREBAY_RUN"
"""The environment variable that names the folder."""
RUN_EVENTS = "FOREBAY_RUN_EVENTS"
"""The environment variable with the number of the pipe's file descriptor."""
RUN_FILE, PUBLISHED, SAID = "run.json", "published", "said.json"

Parameter = str | int | float | bool


class RunSpec(msgspec.Struct, frozen=True):
    """What the script was started for; `kept` is the folder of its checkpoints."""

    name: str
    parameters: dict[str, Parameter]
    kept: str


class RunSaid(msgspec.Struct, frozen=True):
    """What goes with the version that a script has made."""

    card: str | None = None
    lineage: dict[str, Any] = {}
    evidence: list[dict[str, Any]] = []

"""From a model or a table at hand to a version at the hub: upload what is missing, start the job."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from forebay.client.blobs import upload_file, upload_folder
from forebay.client.cards import card_for
from forebay.client.datasets import table_of
from forebay.client.door import Door
from forebay.client.jobs import start_job
from forebay.client.progress import Progress
from forebay.client.results import Job
from forebay.client.sources import How, source_of
from forebay.core import INFO_NAME, ArtifactInfo, checked_name


class Said(NamedTuple):
    """What its owner says about a version."""

    card: str | None = None
    lineage: Mapping[str, Any] | None = None
    evidence: Iterable[Mapping[str, Any]] = ()


def start_publish(
    door: Door,
    project: str,
    name: str,
    model: object,
    how: How,
    said: Said,
    progress: Progress,
) -> Job:
    """Upload *model* as an artifact and start the job that checks and registers it."""
    checked_name(name)
    with source_of(model, how, progress) as source:
        manifest = upload_folder(door, project, source.folder, progress)
        info = ArtifactInfo.decode((source.folder / INFO_NAME).read_bytes())
    evidence = [*source.evidence, *map(dict, said.evidence)]
    card = source.card if said.card is None else said.card
    body = {
        "manifest": {
            "files": [
                {"path": entry.path, "size_bytes": entry.size_bytes, "sha256": entry.sha256}
                for entry in manifest.files
            ]
        },
        "card": card_for(name, info, evidence) if card is None else card,
        "lineage": {**(source.lineage or _origin(evidence)), **(said.lineage or {})},
        "evidence": evidence,
    }
    progress.step("the hub checks it: loads it, runs its sample, compares its signature")
    return start_job(door, f"/api/v1/projects/{project}/models/{name}/versions", body)


def train_request(
    door: Door, project: str, name: str, data: Any, target: Any, wishes: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Upload *data* and say what the train job is to do with it."""
    checked_name(name)
    with table_of(data, target) as table:
        entry = upload_file(door, project, table.path, progress)
        request = {
            "data": {"sha256": entry.sha256, "format": table.format},
            "target": table.target,
            "name": name,
        }
    return request | {wish: value for wish, value in wishes.items() if value is not None}


def compress_request(
    door: Door, project: str, data: Any, target: Any, wish: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Upload *data* and say what the compress job is to prove with it; without a target, the trained one."""
    with table_of(data, target) as table:
        entry = upload_file(door, project, table.path, progress)
        request = {"data": {"sha256": entry.sha256, "format": table.format}, **wish}
        return request | ({"target": table.target} if table.target else {})


def card_text(card: str | Path | None) -> str | None:
    """The card itself, or what is in the file that a `Path` names."""
    return card.read_text("utf-8") if isinstance(card, Path) else card


def _origin(evidence: list[dict[str, Any]]) -> dict[str, Any]:
    source = next((entry["source"] for entry in evidence if "source" in entry), None)
    made = {"python": platform.python_version()}
    return made if source is None else {"source": source, **made}

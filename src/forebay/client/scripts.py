"""A training script, and what lies beside it, for the hub's script job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from forebay.client.blobs import upload_file
from forebay.client.door import Door
from forebay.client.progress import Progress
from forebay.core import checked_name
from forebay.core.errors import Malformed
from forebay.core.runs import Parameter

_LEFT_OUT = ("__pycache__", "node_modules")


def script_request(
    door: Door,
    project: str,
    script: Path,
    name: str,
    arguments: Sequence[str],
    parameters: Mapping[str, Parameter],
    include: Iterable[Path],
    progress: Progress,
) -> dict[str, Any]:
    """Upload *script* and the files that it needs, and say how it is to be started."""
    checked_name(name)
    files = files_of(script, include)
    entries = [
        {"path": path, "size_bytes": entry.size_bytes, "sha256": entry.sha256}
        for path, file in files.items()
        for entry in [upload_file(door, project, file, progress)]
    ]
    return {
        "name": name,
        "script": script.name,
        "files": {"files": entries},
        "arguments": list(arguments),
        "parameters": dict(parameters),
    }


def files_of(script: Path, include: Iterable[Path]) -> dict[str, Path]:
    """Every file, by its path beside the script; hidden ones and caches are left out."""
    if script.suffix != ".py" or not script.is_file():
        raise Malformed(f"{script} is no Python script; name a .py file, and what it needs with --with")
    files = {script.name: script}
    for given in include:
        for path, file in _below(given):
            if files.setdefault(path, file) != file:
                raise Malformed(f"{file} and {files[path]} would both be {path} beside the script")
    return files


def _below(given: Path) -> Iterator[tuple[str, Path]]:
    if given.is_file():
        yield given.name, given
        return
    if not given.is_dir():
        raise Malformed(f"there is no file or folder {given}")
    root = given.resolve()
    for file in sorted(root.rglob("*")):
        path = Path(root.name) / file.relative_to(root)
        if file.is_file() and not any(part.startswith(".") or part in _LEFT_OUT for part in path.parts[1:]):
            yield path.as_posix(), file

"""What comes out of a conversion: the files of an artifact, and the evidence that they are right."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forebay.core import INFO_NAME, ArtifactInfo, Manifest, Signature, Tensors
from forebay.core.requests import encode_request

SAMPLE_NAME = "sample.json"


@dataclass(frozen=True, slots=True)
class Converted:
    """A model in its served format.

    `files` are its contents, or where they lie, by their paths in the artifact. `sample` holds up to
    eight real rows (none, if their owner keeps them), `evidence` what was measured.
    """

    files: Mapping[str, bytes | Path]
    info: ArtifactInfo
    sample: Tensors
    evidence: tuple[dict[str, Any], ...]

    @property
    def signature(self) -> Signature:
        """What the model takes and gives."""
        return self.info.signature

    def save(self, folder: Path | str) -> Manifest:
        """Write the artifact into *folder* (made if missing) and return its manifest."""
        folder = Path(folder)
        write_files(self.files, folder)
        if self.info.sample:
            (folder / self.info.sample).write_bytes(encode_request(self.sample, self.signature))
        (folder / INFO_NAME).write_bytes(self.info.encode())
        return Manifest.of_folder(folder)


def write_files(files: Mapping[str, bytes | Path], folder: Path) -> None:
    """Put *files* where their names say, below *folder*."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            path.write_bytes(content)

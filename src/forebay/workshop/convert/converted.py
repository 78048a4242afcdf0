"""What comes out of a conversion: the files of an artifact, and the evidence that they are right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forebay.core import INFO_NAME, ArtifactInfo, Manifest, Signature, Tensors
from forebay.workshop.convert.requests import encode_request

SAMPLE_NAME = "sample.json"


@dataclass(frozen=True, slots=True)
class Converted:
    """A model in its served format. `sample` holds up to eight real rows, `evidence` what was measured."""

    model: bytes
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
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.info.model).write_bytes(self.model)
        (folder / SAMPLE_NAME).write_bytes(encode_request(self.sample, self.signature))
        (folder / INFO_NAME).write_bytes(self.info.encode())
        return Manifest.of_folder(folder)

"""Artifacts with code of their owner's, as `forebay.serving.runtime` lays them out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from forebay.core import CODE_FOLDER, INFO_NAME, ArtifactInfo, Signature
from support.tiny_models import TWICE


def write_code(
    folder: Path,
    source: str,
    signature: Signature = TWICE,
    *,
    entry: str = "scoring:predict",
    files: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """An artifact whose `scoring.py` is *source*; further *files* lie beside it, `_` for the dot."""
    code = folder / CODE_FOLDER
    code.mkdir(parents=True)
    for name, text in {"scoring_py": source, **files}.items():
        (code / name.replace("_", ".")).write_text(textwrap.dedent(text))
    info = ArtifactInfo(signature, backend="python", model=f"{CODE_FOLDER}/scoring.py", entry=entry)
    (folder / INFO_NAME).write_bytes(info.encode())
    return folder


def info_of(folder: Path) -> ArtifactInfo:
    """What *folder* says of itself."""
    return ArtifactInfo.decode((folder / INFO_NAME).read_bytes())

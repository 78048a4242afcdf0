"""A network on handwritten digits that is worth compressing, and the rows to prove it on, as files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from forebay.control.registry import Registry, VersionRecord
from forebay.control.store import Blobs
from forebay.core import INFO_NAME, ArtifactInfo, Manifest
from support.compressing import digits, trained

TAUGHT = 700


def artifact(folder: Path) -> Path:
    """A network of dense layers that was taught the first digits, as an artifact."""
    return trained(folder, "dense").folder


def table(*, target: str = "digit") -> pl.DataFrame:
    """The digits that it has not seen: a column a pixel, which half of the writers, and the digit."""
    images, labels = digits()
    columns: dict[str, Any] = {f"x{place}": images[TAUGHT:, place] for place in range(64)}
    columns["half"] = np.where(np.arange(len(images) - TAUGHT) % 2, "odd", "even")
    return pl.DataFrame(columns | {target: labels[TAUGHT:].astype(int)})


def parquet(path: Path, **how: Any) -> Path:
    """`table` in a file."""
    table(**how).write_parquet(path)
    return path


def put(blobs: Blobs, content: bytes) -> str:
    """Keep *content* as a blob; its digest."""
    sha256 = hashlib.sha256(content).hexdigest()
    blobs.put([content], sha256)
    return sha256


def registered(registry: Registry, blobs: Blobs, folder: Path, name: str, **lineage: Any) -> VersionRecord:
    """The artifact in *folder* as a version of *name*."""
    for path in folder.iterdir():
        put(blobs, path.read_bytes())
    info = ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
    return registry.register_version(
        "default", name, Manifest.of_folder(folder), info, "", lineage, [], job_id=f"job-of-{name}"
    )

"""Loading and unloading a version on the loading thread, with the scales on."""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass
from pathlib import Path

from forebay.core import INFO_NAME, ArtifactInfo, Tensors
from forebay.core.errors import ForebayError, Malformed
from forebay.serving.engine.load import Loaded, first_row, load
from forebay.serving.engine.memory import resident_bytes
from forebay.serving.runtime import Backend, Budget, opener_of
from forebay.serving.runtime.memory import give_back, keep_little

_SMALL_SAMPLE_BYTES = 1 << 20
_SMALL_ROW_VALUES = 4096
_log = logging.getLogger("forebay.node")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A verified folder on this disk: what it says of itself, and the bytes of all that is loaded from it.

    `row` are inputs of one row that its owner let it keep, where they are small enough to show around.
    """

    folder: Path
    info: ArtifactInfo
    size_bytes: int
    row: Tensors | None = None


def look_at(folder: Path) -> Artifact:
    """Read what *folder* is; blocking. Raises `Malformed`, or `OSError`."""
    info = ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
    files = [path for path in folder.rglob("*") if path.is_file() and path != folder / info.sample]
    return Artifact(folder, info, sum(path.stat().st_size for path in files), _small_row(folder, info))


def _small_row(folder: Path, info: ArtifactInfo) -> Tensors | None:
    if not info.sample or (folder / info.sample).stat().st_size > _SMALL_SAMPLE_BYTES:
        return None
    try:
        row = first_row(folder, info)
    except Malformed:
        return None  # loading it says so
    return row if sum(array.size for array in row.values()) <= _SMALL_ROW_VALUES else None


def weighed_load(artifact: Artifact, budget: Budget) -> tuple[Loaded, int]:
    """Load, make a first prediction, and say what that took of the memory; blocking.

    What other threads allocate meanwhile is weighed too, so the model's own files are the least; a
    backend with processes of its own has theirs counted in full. Raises what `load` raises.
    """
    keep_little()
    opener_of(artifact.info)  # the library itself is nobody's weight
    give_back()
    before_bytes = resident_bytes()
    loaded = load(artifact.folder, budget)
    gc.freeze()  # it stays: a collection need not look it through while requests wait
    give_back()
    here_bytes = max(0, resident_bytes() - before_bytes)
    if loaded.backend.apart:
        return loaded, here_bytes + loaded.backend.apart_bytes
    return loaded, max(here_bytes, artifact.size_bytes)


def unload(backend: Backend, expected_bytes: int) -> None:
    """Close *backend* and give its memory back to the system; blocking.

    The collector, which stops every thread for a while, is called only when less than half of what was
    expected has come back without it.
    """
    before_bytes = resident_bytes()
    try:
        backend.close()
    except ForebayError as error:
        _log.warning("a version was closed with complaints: %s", error)
    except Exception:  # noqa: BLE001 (anybody may write a backend; the next version is to be loaded all the same)
        _log.exception("a backend could not be closed")
    give_back()
    if before_bytes - resident_bytes() < expected_bytes // 2:
        collect_and_give_back()


def collect_and_give_back() -> None:
    """Free what is held in rings, and give it to the system; the collector stops every thread for a while."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    give_back()

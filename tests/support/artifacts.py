"""Small artifacts to publish: real files, real digests, a real signature."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from forebay.control.registry import Registry, VersionRecord
from forebay.control.store import Blobs
from forebay.core import INFO_NAME, ArtifactInfo, DataType, FileEntry, Manifest, Signature, TensorSpec

INFO = ArtifactInfo(
    signature=Signature(
        inputs=(TensorSpec("x", DataType.FP32, (-1, 4)),),
        outputs=(TensorSpec("prediction", DataType.FP32, (-1,)),),
    ),
    task="regression",
)


def put_file(blobs: Blobs, path: str, content: bytes) -> FileEntry:
    """Upload *content*, and say how a manifest lists it."""
    sha256 = hashlib.sha256(content).hexdigest()
    blobs.put([content], sha256)
    return FileEntry(path, len(content), sha256)


def put_artifact(blobs: Blobs, weights: bytes = b"weights") -> Manifest:
    """Upload an artifact whose model is *weights*."""
    return Manifest((put_file(blobs, INFO_NAME, INFO.encode()), put_file(blobs, "model.onnx", weights)))


def register_folder(
    registry: Registry, blobs: Blobs, folder: Path, job: str, *evidence: dict[str, Any], model: str = "digits"
) -> VersionRecord:
    """The artifact in *folder* as a version of *model*, registered by *job* with *evidence*."""
    manifest = Manifest.of_folder(folder)
    for entry in manifest.files:
        put_file(blobs, entry.path, (folder / entry.path).read_bytes())
    info = ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
    return registry.register_version("default", model, manifest, info, "", {}, list(evidence), job_id=job)


def register(
    registry: Registry, blobs: Blobs, model: str = "digits", job: str = "job-1", **more: Any
) -> VersionRecord:
    """A version of *model* in the project `default`, registered by *job*."""
    said = {
        "card": "# Digits",
        "lineage": {"run": 7},
        "evidence": [{"metric": "accuracy", "value": 0.97}],
    } | more
    return registry.register_version(
        "default", model, put_artifact(blobs, job.encode()), INFO, job_id=job, **said
    )

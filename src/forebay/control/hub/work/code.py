"""Who may publish code: asked before a job begins, of the description that the artifact itself has."""

from __future__ import annotations

from typing import Any

import msgspec

from forebay.control.store import Blobs
from forebay.core import INFO_NAME, ArtifactInfo, Manifest, Permission, Principal
from forebay.core.errors import Forbidden, Malformed, NotFound

_LARGEST_INFO_BYTES = 4 << 20


def check_code(blobs: Blobs, request: dict[str, Any], who: Principal) -> None:
    """Raise `Forbidden` when *request* publishes Python, and *who* may not.

    What cannot be read here is refused by the job's own checks. A digest names the same bytes for ever,
    so nothing changes between this look and the job's.
    """
    info = _info_of(blobs, request)
    runs_python = info is not None and (info.code or info.backend == "python")
    if runs_python and Permission.CODE not in who.permissions:
        raise Forbidden(
            "this version runs Python of its owner's, and this key may not publish code; ask an "
            "administrator for a key of the role coder: forebay keys create --role coder NAME"
        )


def _info_of(blobs: Blobs, request: dict[str, Any]) -> ArtifactInfo | None:
    try:
        manifest = msgspec.convert(request.get("manifest"), Manifest)
        [sha256] = [entry.sha256 for entry in manifest.files if entry.path == INFO_NAME]
        size = blobs.size(sha256)
    except (msgspec.ValidationError, ValueError, Malformed):
        return None
    if size is None:
        return None
    if size > _LARGEST_INFO_BYTES:
        raise Malformed(f"{INFO_NAME} has {size >> 20} MB; it is a description, and never so large")
    try:
        with blobs.open(sha256) as file:
            return ArtifactInfo.decode(file.read())
    except (Malformed, NotFound):
        return None

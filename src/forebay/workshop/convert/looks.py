"""What a file is, judged by its first bytes: a name is only a promise."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

_PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95|c|\}|\]|\(|X|\x8c|K|J|N|G|C|M|q|h|U)")
_TEXT_PICKLE = re.compile(rb"c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n")
_LFS = b"version https://git-lfs.github.com/spec/"
LFS_POINTER = "a Git LFS pointer"
_HEAD_BYTES = 512
_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"GGUF", "a GGUF file"),
    (b"\x1f\x8b", "an archive (gzip)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (b"\xfd7zXZ", "an archive (xz)"),
    (b"BZh", "an archive (bzip2)"),
    (b"\x28\xb5\x2f\xfd", "an archive (zstd)"),
    (b"Rar!", "an archive (rar)"),
    (b"\x7fELF", "a program"),
)
_TEXT = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0C, 0x0D}


def is_code(path: Path) -> bool:
    """Whether reading the file would run what is inside: a pickle, also one inside a PyTorch archive."""
    head = head_of(path)
    if _PICKLE.match(head) or _TEXT_PICKLE.match(head):
        return True
    return head.startswith(b"PK\x03\x04") and any(
        name.endswith((".pkl", ".pickle")) or "/code/" in name for name in _names_in(path)
    )


def looks_like(path: Path) -> str:
    """What the first bytes say, for a sentence: `a pickle`, `an archive (zip)`, `text`; empty if unknown."""
    head = head_of(path)
    if not head:
        return "empty"
    if is_code(path):
        return "a pickle"
    if head.startswith(_LFS):
        return f"{LFS_POINTER}; type `git lfs pull` to get the file itself"
    if head.startswith(b"PK\x03\x04"):
        return "an archive (zip)"
    if len(head) > 262 and head[257:262] == b"ustar":
        return "an archive (tar)"
    found = next((what for magic, what in _MAGIC if head.startswith(magic)), "")
    return found or ("text" if _TEXT.issuperset(head) else "")


def strange_text(path: Path) -> str:
    """What a file is that says it is text and is not: `a pickle`, `a program`; empty if it may be text."""
    head = head_of(path)
    what = looks_like(path) if head else ""
    if what in ("", "text"):
        return "no text" if b"\0" in head else ""
    return what


def head_of(path: Path) -> bytes:
    """The first 512 bytes."""
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _names_in(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError):
        return []

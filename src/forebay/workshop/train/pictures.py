"""A folder of pictures, one folder a class, as rows of pixels."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.core.extras import need

if TYPE_CHECKING:
    import polars as pl

CLASS = "class"
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
_MOST_SIDE = 64
_MOST_PIXELS = 1 << 26


def read_pictures(path: Path) -> tuple[pl.DataFrame, tuple[int, int, int], str]:
    """Pixels and classes of *path*, the pictures' (channels, height, width), and a digest of all of them.

    *path* is a folder with a folder for each class, or the same as a tar file. Pictures come to one size,
    the commonest, and no side over 64 pixels; they are grey where all of them are.
    """
    import polars as pl  # noqa: PLC0415 (heavy)

    sha256 = hashlib.sha256()
    opened, classes = list[Any](), list[str]()
    for name, label, content in _files(path):
        sha256.update(f"{name}\0".encode())
        sha256.update(content)
        opened.append(_picture(name, content))
        classes.append(label)
    if not opened:
        raise Malformed(f"{path.name!r} holds no pictures; put them into a folder for each class: cats/1.png")
    width, height = _size(opened)
    grey = all(picture.mode in ("1", "L", "LA") for picture in opened)
    rows = np.stack([_pixels(picture, (width, height), grey=grey) for picture in opened])
    names = [f"x{place}" for place in range(rows.shape[1])]
    frame = pl.DataFrame(rows, schema=names).with_columns(pl.Series(CLASS, classes))
    return frame, (1 if grey else 3, height, width), sha256.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Name, class and content of each picture, in the order of their names."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in _SUFFIXES and file.parent != path:
                yield file.relative_to(path).as_posix(), file.parent.name, file.read_bytes()
        return
    try:
        with tarfile.open(path) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                inside = Path(member.name)
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None and inside.suffix.lower() in _SUFFIXES and inside.parent.name:
                    yield member.name, inside.parent.name, content.read()
    except tarfile.TarError as error:
        raise Malformed(f"{path.name!r} is no tar file of pictures: {error}") from error


def _picture(name: str, content: bytes) -> Any:
    image = need("PIL.Image", "images")
    try:
        picture = image.open(io.BytesIO(content))
        if picture.width * picture.height > _MOST_PIXELS:
            raise Malformed(
                f"the picture {name!r} has {picture.width} x {picture.height} pixels; make it smaller"
            )
        picture.draft("RGB", (2 * _MOST_SIDE, 2 * _MOST_SIDE))
        picture.load()
        picture.thumbnail((4 * _MOST_SIDE, 4 * _MOST_SIDE))
    except (OSError, ValueError, SyntaxError) as error:
        raise Malformed(f"the picture {name!r} cannot be read: {error}") from error
    return picture


def _size(pictures: list[Any]) -> tuple[int, int]:
    sizes, counts = np.unique([picture.size for picture in pictures], axis=0, return_counts=True)
    width, height = (int(side) for side in sizes[counts.argmax()])
    shrunk = min(1.0, _MOST_SIDE / max(width, height))
    return max(1, round(width * shrunk)), max(1, round(height * shrunk))


def _pixels(picture: Any, size: tuple[int, int], *, grey: bool) -> Array:
    """uint8, channel by channel."""
    plain = picture.convert("L" if grey else "RGB")
    pixels = np.asarray(plain if plain.size == size else plain.resize(size), dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if grey else pixels.transpose(2, 0, 1)).reshape(-1)

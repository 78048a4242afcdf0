"""Paths that somebody typed: one sentence when there is nothing, instead of how the command is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from forebay.core.errors import Malformed


class Existing(click.Path):
    """A file that exists, or with *folders* a folder as well; with *dash*, `-` is the standard input."""

    def __init__(self, *, folders: bool = False, dash: bool = False) -> None:
        super().__init__(path_type=str if dash else Path)
        self._folders, self._dash = folders, dash

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises `Malformed`."""
        if not (self._dash and value == "-"):
            existing(Path(value), folders=self._folders)
        return super().convert(value, param, ctx)


def existing(path: Path, *, folders: bool = False) -> Path:
    """*path*, if there is a file there (with *folders*, or a folder); raises `Malformed`."""
    if not path.exists():
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        what = "a file or a folder" if folders else "a file"
        raise Malformed(f"there is no {path}{where}; give the path of {what}")
    if path.is_dir() and not folders:
        raise Malformed(f"{path} is a folder; give the path of a file")
    return path

"""The files of an artifact that make its model, looked at before anything is loaded."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from forebay.core import CODE_FOLDER, INFO_NAME, ArtifactInfo
from forebay.core.errors import Malformed
from forebay.workshop.convert.looks import is_code
from forebay.workshop.convert.onnx_checks import checked_onnx, external_files
from forebay.workshop.convert.openvino_checks import checked_ir

REQUIREMENTS = "requirements.txt"
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?==[A-Za-z0-9.!+*_-]+")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def checked_model(folder: Path, info: ArtifactInfo) -> set[str]:
    """The names of the model's files in *folder*; raises `Malformed` when they are not what they say.

    Of a backend that somebody else has added, nothing is known but its model file.
    """
    path = folder / info.model
    if not path.is_file():
        raise Malformed(f"{INFO_NAME} names the model {info.model!r}, which is not among the files")
    if info.code:
        return _checked_code(folder, info)
    if path.suffix == ".onnx":
        parent = Path(info.model).parent
        return {info.model, *((parent / name).as_posix() for name in external_files(checked_onnx(path)))}
    if path.suffix == ".xml":
        return {info.model, checked_ir(path).relative_to(folder).as_posix()}
    if path.suffix != ".pt2" and is_code(path):
        raise Malformed(f"{info.model!r} is a pickle, which no server loads; convert the model first")
    return {info.model}


def checked_requirements(text: str) -> tuple[str, ...]:
    """The lines of a requirements file; raises `Malformed` unless each pins one package with `==`."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    for line in filter(None, lines):
        if _PINNED.fullmatch(line) is None:
            raise Malformed(f"the requirement {line!r} is not pinned; write it like numpy==2.1.0")
    return tuple(filter(None, lines))


def defines(source: str, name: str) -> bool:
    """Whether a module with the text *source* gives something the name *name*; raises `SyntaxError`."""
    for node in ast.parse(source).body:
        if isinstance(node, _DEFINITIONS) and node.name == name:
            return True
        if isinstance(node, ast.Import | ast.ImportFrom):
            if any((alias.asname or alias.name) in (name, "*") for alias in node.names):
                return True
        elif any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node)):
            return True
    return False


def _checked_code(folder: Path, info: ArtifactInfo) -> set[str]:
    """The owner's module names what the entry says, its requirements are pinned."""
    path, name = folder / info.model, info.entry.partition(":")[2]
    try:
        found = defines(path.read_text("utf-8"), name)
    except (SyntaxError, ValueError) as error:
        raise Malformed(f"{info.model!r} is no Python: {error}") from None
    if not found:
        raise Malformed(f"{info.model!r} defines no {name!r}, which the entry {info.entry!r} names")
    requirements = folder / CODE_FOLDER / REQUIREMENTS
    if requirements.is_file():
        checked_requirements(requirements.read_text("utf-8"))
    return {info.model}

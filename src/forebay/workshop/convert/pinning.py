"""The packages that somebody's code needs, each with the version that is installed here."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from forebay.core.errors import Malformed
from forebay.workshop.convert.model_files import checked_requirements
from forebay.workshop.convert.running import contents

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def pinned(requirements: Sequence[str], sources: Iterable[str], own: Iterable[str]) -> tuple[str, ...]:
    """*requirements*, and what the modules *sources* import, with the versions that are installed here.

    *own* are modules that travel with the code. Raises `Malformed` for a package that is not here.
    """
    found = {_key(line): _pin(line) for line in requirements}
    known = packages_distributions()
    for module in sorted(_imported(sources) - set(own) - sys.stdlib_module_names - {"forebay"}):
        for distribution in known.get(module, [])[:1]:
            found.setdefault(_key(distribution), f"{distribution}=={version(distribution)}")
    return checked_requirements("\n".join(found[key] for key in sorted(found)))


def sources_in(files: Mapping[str, bytes | Path]) -> dict[str, str]:
    """The text of every module among *files*, by its path."""
    try:
        return {name: contents(file).decode() for name, file in files.items() if name.endswith(".py")}
    except UnicodeDecodeError as error:
        raise Malformed(f"a module of the code is no UTF-8: {error}") from error


def _pin(line: str) -> str:
    line = line.strip()
    if "==" in line or _NAME.fullmatch(line) is None:
        return line
    try:
        return f"{line}=={version(line)}"
    except PackageNotFoundError:
        raise Malformed(
            f"{line} is not installed here, so nobody can say which version works; write {line}==VERSION"
        ) from None


def _key(line: str) -> str:
    name = _NAME.match(line.strip())
    return re.sub(r"[-_.]+", "-", name.group() if name else line).lower()


def _imported(sources: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError as error:
            raise Malformed(f"a module of the code is no Python: {error}") from error
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found

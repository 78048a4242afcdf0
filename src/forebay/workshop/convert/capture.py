"""A function or a class as source: itself, and what it uses of the module around it.

Source is what a person can read and a server can check; a pickled function is neither. So only what
can be written down travels: imports, other functions and classes of the same module, and plain constants.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import sysconfig
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from forebay.core.errors import Unsupported

_FOLDER = (
    "put it into a folder with what it needs and publish that: publish('FOLDER', name=…, entry='module:name')"
)


@dataclass
class Captured:
    """The parts of a module that defines one thing."""

    imports: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The module."""
        parts = ["from __future__ import annotations", *self.imports.values()]
        parts += [f"{name} = {value}" for name, value in self.constants.items()]
        return "\n".join(parts) + "".join(f"\n\n\n{text}" for text in self.definitions.values()) + "\n"


def captured(target: Any) -> str:
    """The text of a module that defines *target*; raises `Unsupported` for what cannot be written down."""
    if target.__name__ == "<lambda>":
        raise Unsupported("a lambda has no name to be published under; write it as a function with def")
    if _is_installed(sys.modules.get(target.__module__)):
        raise Unsupported(
            f"{target.__name__} belongs to the installed package {target.__module__.partition('.')[0]}; "
            "publish what you have fitted with it, or a function of your own that calls it"
        )
    found = Captured()
    _define(target, found)
    return found.text()


def _define(target: Any, found: Captured) -> None:
    name = target.__name__
    if name in found.definitions:
        return
    found.definitions[name] = ""
    try:
        source = textwrap.dedent(inspect.getsource(target))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        raise Unsupported(f"there is no source of {name!r} to be seen; {_FOLDER}") from None
    around = _surroundings(target)
    for used in sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {name}):
        if used in around and not hasattr(builtins, used):
            _bring(used, around[used], target, found)
    del found.definitions[name]  # what it uses comes before it
    found.definitions[name] = source.rstrip()


def _surroundings(target: Any) -> Mapping[str, Any]:
    """The names that *target* sees outside itself."""
    if inspect.isclass(target):
        return vars(sys.modules[target.__module__])
    function = inspect.unwrap(target)
    return {**function.__globals__, **inspect.getclosurevars(function).nonlocals}


def _bring(name: str, value: Any, target: Any, found: Captured) -> None:
    if isinstance(value, ModuleType):
        _must_be_installed(value, name, target)
        found.imports[name] = f"import {value.__name__} as {name}"
    elif _is_literal(value):
        found.constants[name] = repr(value)
    elif (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == target.__module__:
        if value.__name__ != name:
            raise Unsupported(f"{target.__name__!r} calls {value.__name__!r} by another name; {_FOLDER}")
        _define(value, found)
    elif hasattr(value, "__name__") and getattr(value, "__module__", None) in sys.modules:
        _must_be_installed(sys.modules[value.__module__], name, target)
        found.imports[name] = f"from {value.__module__} import {value.__name__} as {name}"
    else:
        raise Unsupported(
            f"{target.__name__!r} uses {name!r}, a {type(value).__name__}, which cannot be written down as "
            f"source; save it to a file, and {_FOLDER}"
        )


def _must_be_installed(module: ModuleType, name: str, target: Any) -> None:
    if not _is_installed(module):
        raise Unsupported(
            f"{target.__name__!r} uses {name!r} of your own module {module.__name__}, which is nowhere "
            f"installed; {_FOLDER}"
        )


def _is_installed(module: ModuleType | None) -> bool:
    """Whether *module* is Python's own or comes from a package."""
    if module is None or module.__name__ == "__main__":
        return False
    if module.__name__.partition(".")[0] in sys.stdlib_module_names:
        return True
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
    homes = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")} | set(sys.path)
    packages = [home for home in homes if home.endswith(("site-packages", "dist-packages"))]
    return file is not None and any(Path(file).is_relative_to(home) for home in packages)


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False

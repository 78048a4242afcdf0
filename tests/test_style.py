"""The figures that the code lives up to: short functions, files that one can read in one sitting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))


class Function(NamedTuple):
    place: str
    lines: int


def functions() -> Iterator[Function]:
    """Every function, from its `def` to its last line."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield Function(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", lines)


def test_no_function_is_over_sixty_lines() -> None:
    assert [each for each in functions() if each.lines > 60] == []


def test_half_of_the_functions_are_within_ten_lines() -> None:
    assert median(each.lines for each in functions()) <= 10


def test_no_file_is_over_five_hundred_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES + TESTS}
    assert {path: length for path, length in lengths.items() if length > 500} == {}


def test_the_names_of_test_files_are_unique() -> None:
    names = [path.name for path in TESTS if path.name.startswith("test_")]
    assert sorted(set(names)) == sorted(names)

"""The page on security claims nothing that no test shows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "what is at stake" not in line]
SHOWN = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def named_in(path: Path) -> set[str]:
    """The tests of a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, functions)}


@pytest.mark.parametrize("row", [row for row in ROWS if not row.startswith("| ---")])
def test_every_threat_names_a_defence_and_the_tests_that_show_it(row: str) -> None:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 4
    assert all(cells)
    shown = SHOWN.findall(cells[3])
    assert shown, "a defence that nothing shows is a hope"
    assert not SHOWN.sub("", cells[3]).strip(", ")
    for path, name in shown:
        assert name in named_in(ROOT / path)

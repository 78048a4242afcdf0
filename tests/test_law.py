"""The law of the house: its tables are whole, it catches what it should, and nothing heavy loads early."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest
from tools.law import HomeContract, RoomContract

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "forebay"
WINGS = ("serving", "workshop", "control")
HEAVY = {
    "sklearn",
    "scipy",
    "skl2onnx",
    "onnx",
    "polars",
    "pandas",
    "torch",
    "tensorflow",
    "dbos",
    "sqlalchemy",
}


def rooms_of_the_law() -> set[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {contract["room"] for contract in contracts if contract["type"] == "room"}


def rooms_of_the_house() -> set[str]:
    folders = [SOURCE, *(SOURCE / wing for wing in WINGS)]
    names = {entry.relative_to(SOURCE) for folder in folders for entry in folder.iterdir()}
    return {".".join(name.with_suffix("").parts) for name in names if "__" not in name.name} - {*WINGS, "py"}


def test_every_room_has_its_line_in_the_law() -> None:
    unruled = rooms_of_the_house() - rooms_of_the_law() - {"app"}  # the builder may import all
    assert not unruled, f"{unruled} need a contract in pyproject.toml, as ARCHITECTURE's table says"


def test_the_doors_of_the_wings_import_nothing() -> None:
    graph = grimp.build_graph("forebay", cache_dir=None)
    for wing in WINGS:
        assert not graph.find_modules_directly_imported_by(f"forebay.{wing}")


def graph_with(importer: str, imported: str) -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    for module in (importer, imported):
        graph.add_module(module)
    graph.add_import(importer=importer, imported=imported, line_number=3, line_contents=f"import {imported}")
    return graph


@pytest.mark.parametrize(
    ("imported", "kept"),
    [
        ("forebay.serving.wire.binary", True),
        ("forebay.core", True),
        ("forebay.serving.runtime", False),
        ("forebay.control.store", False),
    ],
)
def test_a_room_imports_what_its_line_says_and_nothing_else(imported: str, kept: bool) -> None:
    law = RoomContract("wire", {}, {"room": "serving.wire", "may_import": ["core"]})
    check = law.check(graph_with("forebay.serving.wire.oip", imported), verbose=False)
    assert check.kept is kept


def test_the_law_names_the_line_that_breaks_it() -> None:
    law = RoomContract("core", {}, {"room": "core", "may_import": []})
    check = law.check(graph_with("forebay.core.names", "forebay.client.hub"), verbose=False)
    assert check.metadata["broken"] == ["forebay.core.names:3: import forebay.client.hub"]


@pytest.mark.parametrize(
    ("importer", "kept"), [("forebay.control.store.database", True), ("forebay.app", False)]
)
def test_a_package_stays_in_its_homes(importer: str, kept: bool) -> None:
    law = HomeContract("database", {}, {"packages": ["sqlalchemy"], "homes": ["control.store"]})
    assert law.check(graph_with(importer, "sqlalchemy"), verbose=False).kept is kept


def light_modules() -> list[str]:
    """What `forebay --help`, a node or `import forebay` may load."""
    folders = ["core", "serving", "client", "app/cli"]
    files = [file for folder in folders for file in (SOURCE / folder).rglob("*.py")] + [
        SOURCE / "__init__.py"
    ]
    parts = [file.relative_to(SOURCE.parent).with_suffix("").parts for file in files if file.exists()]
    return sorted(".".join(part for part in name if part != "__init__") for name in parts)


def test_nothing_heavy_is_loaded_before_it_is_used() -> None:
    code = f"import sys, {', '.join(light_modules())}\nprint(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.split())

"""The law of the house as import-linter contracts: who may import whom, and where packages live.

The tables themselves stand in pyproject.toml; everything that is not in them is forbidden.
"""

from __future__ import annotations

from typing import Any, cast

from grimp import ImportGraph, build_graph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract

_HOUSE = "forebay"


class AcyclicContract(AcyclicSiblingsContract):
    """No two modules load each other, by whatever detour. What only a type checker imports loads nothing."""

    type_name = "acyclic"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at a graph of what is loaded; the rooms' law holds for types as well."""
        output.verbose_print(verbose, f"{len(graph.modules)} modules, with what only types need")
        return super().check(build_graph(_HOUSE, exclude_type_checking_imports=True, cache_dir=None), verbose)


class RoomContract(Contract):
    """A room imports itself and the rooms it names, and no other room of the house."""

    type_name = "room"
    room = fields.StringField()
    may_import = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Every direct import out of the room; a detour through an allowed room is that room's affair."""
        allowed = _in_house([str(self.room), *_texts(self.may_import)])
        output.verbose_print(verbose, f"{self.room} may import {allowed}")
        broken = [
            found
            for module in sorted(graph.modules)
            if _inside(module, allowed[:1])
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if _inside(imported, [_HOUSE]) and not _inside(imported, allowed)
            for found in places(graph, module, imported)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say which lines have to go."""
        _render(check.metadata["broken"])


class HomeContract(Contract):
    """A package is imported only in its homes."""

    type_name = "home"
    packages = fields.ListField(subfield=fields.StringField())
    homes = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Every import of the packages from elsewhere, at the top of a module or inside a function."""
        homes = _in_house(_texts(self.homes))
        output.verbose_print(verbose, f"{self.packages} may be imported in {homes}")
        broken = [
            found
            for package in _texts(self.packages)
            if package in graph.modules
            for importer in sorted(graph.find_modules_that_directly_import(package))
            if not _inside(importer, homes)
            for found in places(graph, importer, package)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say which lines have to go."""
        _render(check.metadata["broken"])


def places(graph: ImportGraph, importer: str, imported: str) -> list[str]:
    """Each import of *imported* in *importer*, as `module:line: the line`."""
    details: list[Any] = graph.get_import_details(importer=importer, imported=imported)
    return [f"{importer}:{found['line_number']}: {found['line_contents']}" for found in details]


def _texts(field: object) -> list[str]:
    """The value of a list field, which import-linter sets in the field's own place."""
    return cast("list[str]", field)


def _in_house(rooms: list[str]) -> list[str]:
    return [f"{_HOUSE}.{room}" for room in rooms]


def _inside(module: str, packages: list[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _render(broken: list[str]) -> None:
    for place in broken:
        output.print_error(place, bold=False)
    output.new_line()

"""Every block of the documentation is run as it stands, in order, against a Forebay of its own.

`bash` and `python` blocks run; a `text` block that follows one is what it has to print, with `…` for
anything. The blocks of a page share a folder, a home and, in Python, their names. What no test can run
(it installs, or needs a second machine) is marked `sh`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from forebay.client import Hub

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"bash", "python", "text", "sh", "json", "toml", "mermaid"}


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 2) for found in FENCED.finditer(text)
    ]


def matches(wanted: str, got: str) -> bool:
    """Whether *got* is *wanted*, where `…` stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in wanted.strip().split("…"))
    return re.fullmatch(pattern, got.strip(), re.DOTALL) is not None


class Reader:
    """Somebody who types what a page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.names: dict[str, object] = {"__name__": "__main__"}
        (folder / "bin").mkdir()
        for name, arguments in (("forebay", " -m forebay"), ("python", "")):
            shim = folder / "bin" / name
            shim.write_text(f'#!/bin/sh\nexec {sys.executable}{arguments} "$@"\n')
            shim.chmod(0o755)
        (folder / "examples").symlink_to(ROOT / "examples")

    def do(self, block: Block) -> str:
        """Run a block; what it printed."""
        text = self._here(block.text)
        if block.language == "bash":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                capture_output=True,
                text=True,
                check=False,
                cwd=self.folder,
            )
            assert done.returncode == 0, f"line {block.line}: {done.stderr}"
            return done.stdout
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (block.line - 1) + text, "the page", "exec"), self.names)  # noqa: S102 (that is the test)
        return printed.getvalue()

    def _here(self, text: str) -> str:
        """The addresses and the home of this Forebay, where a page has the usual ones."""
        running = self.home / "up.json"
        said = json.loads(running.read_text()) if running.exists() else {}
        text = text.replace("http://127.0.0.1:8000", said.get("node_url", "http://127.0.0.1:8000"))
        text = text.replace("http://127.0.0.1:8080", said.get("hub_url", "http://127.0.0.1:8080"))
        return text.replace("~/.forebay", str(self.home))


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    found = Reader(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FOREBAY_HOME", str(found.home))
    monkeypatch.setenv("FOREBAY_PORT", "0")
    monkeypatch.setenv("FOREBAY_GRPC_PORT", "0")
    monkeypatch.setenv("FOREBAY_HUB_PORT", "0")
    yield found
    for thing in found.names.values():
        if isinstance(thing, Hub):
            thing.close()  # as the end of a program would
    subprocess.run([tmp_path / "bin" / "forebay", "down"], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.timeout(600)  # pages load every framework that they speak of
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if {"bash", "python"} & {block.language for block in blocks_of(page)}],
    ids=lambda page: page.name,
)
def test_what_a_page_says_happens(page: Path, reader: Reader) -> None:
    blocks = [*blocks_of(page), Block("", "", 0)]
    for block, following in pairwise(blocks):
        if block.language in ("bash", "python"):
            printed = reader.do(block)
            if following.language == "text":
                assert matches(following.text, printed), f"line {following.line}: it printed {printed!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert {block.language for block in blocks_of(page)} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing

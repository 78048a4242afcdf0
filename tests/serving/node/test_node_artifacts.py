"""The artifacts on a node's disk: what nobody needs leaves it, what somebody needs never does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

from forebay.serving.node.artifacts import Artifacts
from forebay.serving.node.hub import HubLink

NEEDED, FRESH, OLD = ("a" * 64, "b" * 64, "c" * 64)
AN_HOUR_AGO = time.time() - 3600


def artifact(folder: Path, name: str, *, old: bool) -> Path:
    made = folder / name
    made.mkdir(parents=True)
    (made / "model.onnx").write_bytes(b"x")
    if old:
        os.utime(made, (AN_HOUR_AGO, AN_HOUR_AGO))
    return made


def tidied(folder: Path, needed: set[str]) -> set[str]:
    """What is left of *folder*."""

    async def tidy() -> None:
        hub = HubLink("http://127.0.0.1:9", "key", "node")
        try:
            await Artifacts(folder, hub).keep_only(needed)
        finally:
            await hub.close()

    asyncio.run(tidy())
    return {each.name for each in folder.iterdir()}


def test_what_nothing_has_needed_for_a_while_leaves_the_disk(tmp_path: Path) -> None:
    artifact(tmp_path, NEEDED, old=True)
    artifact(tmp_path, FRESH, old=False)
    artifact(tmp_path, OLD, old=True)
    assert tidied(tmp_path, {NEEDED}) == {NEEDED, FRESH}


def test_what_was_needed_a_moment_ago_is_still_there_for_who_rolls_back(tmp_path: Path) -> None:
    artifact(tmp_path, OLD, old=True)
    assert tidied(tmp_path, {OLD}) == {OLD}
    assert tidied(tmp_path, set()) == {OLD}


def test_what_another_process_fetches_is_left_alone_and_what_a_dead_one_left_is_not(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        artifact(tmp_path, f".fetch-{other.pid}-xyz", old=True)
        assert tidied(tmp_path, set()) == {f".fetch-{other.pid}-xyz"}
        other.kill()
    assert tidied(tmp_path, set()) == set()


@pytest.mark.parametrize("kind", ["fetch", "gone"])
def test_an_earlier_life_of_the_same_number_left_rubbish(tmp_path: Path, kind: str) -> None:
    artifact(tmp_path, f".{kind}-{os.getpid()}-xyz", old=True)
    assert tidied(tmp_path, set()) == set()

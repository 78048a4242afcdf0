"""What a node is told, from the settings and from the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forebay.app.settings import Settings
from forebay.app.wiring import node_config
from forebay.serving.runtime import Budget
from forebay.serving.runtime.machine import Machine, machine

GB = 1 << 30


def budget_of(home: Path, **options: Any) -> Budget:
    return node_config(Settings.load({}, home=home, key="fb-0-0", **options)).budget


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        ({}, 8),
        ({"workers": 2}, 4),
        ({"workers": 3}, 2),
        ({"workers": 99}, 1),
        ({"workers": 2, "threads": 7}, 7),
    ],
)
def test_workers_share_the_cores_unless_somebody_says_how_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, int], threads: int
) -> None:
    monkeypatch.setattr("forebay.serving.runtime.machine.machine", lambda: Machine(8, 4 * GB, 16, 64 * GB))
    assert budget_of(tmp_path, **options).threads == threads


def test_a_node_is_told_what_it_may_use_and_nothing_that_is_not_asked_for(tmp_path: Path) -> None:
    here = machine()
    assert budget_of(tmp_path) == Budget(here.cores, call_s=60.0, memory_bytes=here.memory_bytes // 2)
    asked = budget_of(
        tmp_path, spin=True, allow_code=True, hang_s=5.0, code_start_s=9.0, code_memory_bytes=GB
    )
    assert asked == Budget(here.cores, spin=True, code=True, call_s=5.0, start_s=9.0, memory_bytes=GB)
    config = node_config(Settings.load({}, home=tmp_path, key="fb-0-0"))
    assert config.machine == str(here)

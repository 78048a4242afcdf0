"""A node computes with what its container may use, whatever the host has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from forebay.serving.runtime.machine import machine

GB = 1 << 30
NO_LIMIT = "9223372036854771712\n"


def made_up(root: Path, files: Mapping[str, str]) -> Path:
    """A file system with 64 GB of memory and *files*."""
    for path, text in {"proc/meminfo": f"MemTotal: {64 * GB // 1024} kB\nMemFree: 5 kB\n", **files}.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cores", "memory_bytes"),
    [
        pytest.param({}, 16, 64 * GB, id="no control groups"),
        pytest.param(
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/cpu.max": "250000 100000\n",
                "sys/fs/cgroup/memory.max": f"{4 * GB}\n",
            },
            2,
            4 * GB,
            id="a container of version 2",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/user.slice/forebay.service\n",
                "sys/fs/cgroup/user.slice/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/user.slice/forebay.service/cpu.max": "max 100000\n",
                "sys/fs/cgroup/user.slice/memory.max": "max\n",
                "sys/fs/cgroup/user.slice/forebay.service/memory.max": f"{2 * GB}\n",
            },
            3,
            2 * GB,
            id="a limit of a group above",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GB}\n",
            },
            1,
            GB,
            id="a container of version 1 whose path is the host's",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:memory:/a\n4:cpu:/a\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": NO_LIMIT,
            },
            16,
            64 * GB,
            id="version 1 without limits",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/cpu.max": "9900000 100000\n",
                "sys/fs/cgroup/memory.max": f"{999 * GB}\n",
            },
            16,
            64 * GB,
            id="limits beyond the machine",
        ),
    ],
)
def test_limits_of_the_container_count(
    tmp_path: Path, files: Mapping[str, str], cores: int, memory_bytes: int
) -> None:
    found = machine(made_up(tmp_path, files), allowed_cores=16)
    assert (found.cores, found.memory_bytes) == (cores, memory_bytes)


def test_cores_that_this_process_may_not_use_do_not_count() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert machine().cores == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_this_very_machine_has_something_to_compute_with() -> None:
    here = machine()
    assert 1 <= here.cores <= here.all_cores
    assert 64 << 20 < here.memory_bytes <= here.all_memory_bytes

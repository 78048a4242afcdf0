"""Closed loop: each connection asks again as soon as it is answered."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.drivers.running import run
from bench.words import Load, Missing, Target

_SCRIPT = Path(__file__).parent / "load.lua"
_MARK = "bench: "


class _Said(msgspec.Struct):
    duration_us: int
    answers: int
    refused: int
    failed: int
    p50_us: int
    p99_us: int


def closed_loop(target: Target, connections: int, seconds: int) -> Load:
    """One thread of wrk with *connections* for *seconds*; raises `Missing` when wrk cannot."""
    headers = [word for pair in target.headers for word in pair]
    words = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_SCRIPT))
    return parse(run([*words, target.url, "--", str(target.body), *headers], seconds))


def parse(output: str) -> Load:
    """Read the line that load.lua has printed."""
    line = next((line for line in output.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        raise Missing(f"wrk measured nothing: {output.strip()[-300:]}")
    said = msgspec.json.decode(line.removeprefix(_MARK), type=_Said)
    return Load(
        seconds=said.duration_us / 1e6,
        requests=said.answers - said.refused,
        errors=said.refused + said.failed,
        p50_s=said.p50_us / 1e6,
        p99_s=said.p99_us / 1e6,
    )

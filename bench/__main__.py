"""Measure, and write down what came out: `python -m bench --cases mnist-json,idle --rounds 2`."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bench.cases import CASES, Case, cases_named
from bench.drivers import pace
from bench.drivers.running import need
from bench.keeping import keep
from bench.running import Running
from bench.servers import end_leftovers, inherit_orphans
from bench.words import CACHE, Missing, Wire


def main() -> int:
    """The exit code is 0 when every case was measured, with whomever could be started."""
    arguments = _arguments()
    if arguments.list:
        for case in CASES:
            _say(f"{case.name:16} {case.title}")
        return 0
    try:
        _measure(cases_named(arguments.cases.replace(",", " ").split()), arguments.rounds, arguments.seconds)
    except Missing as error:
        _say(f"bench: {error}")
        return 1
    return 0


def _measure(cases: list[Case], rounds: int, seconds: int) -> None:
    _check_generators(cases)
    inherit_orphans()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    with _alone():
        for case in cases:
            _say(f"== {case.name}: {case.title}")
            keep(Running(case, rounds, seconds, _say).measure())
            _say(f"== {case.name} is in bench/RESULTS.md")


def _check_generators(cases: list[Case]) -> None:
    need("wrk")
    if any(case.wire is Wire.GRPC for case in cases):
        need("h2load")
    pace.built()


@contextmanager
def _alone() -> Iterator[None]:
    """Two benchmarks at once would measure each other."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Missing("another benchmark runs from this folder; wait for it, or stop it") from error
        end_leftovers()
        yield


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Unwind, so that every server is stopped."""
    sys.exit(130)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--cases", default="", help="names with commas between them; all if left out")
    parser.add_argument("--rounds", type=int, default=5, help="how often everybody is asked (5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each measurement takes (3)")
    parser.add_argument("--list", action="store_true", help="list the cases")
    return parser.parse_args()


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

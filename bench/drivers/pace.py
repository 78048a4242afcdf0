"""Open loop: requests arrive as a Poisson process at a given rate, and are timed from their due moment.

wrk2, which does the same, is in no registry that a build can count on; `pace.c` is compiled on first use.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec

from bench.drivers.running import need, run
from bench.words import CACHE, Load, Missing, Target

_SOURCE = Path(__file__).parent / "pace.c"
_FLAGS = ("-O2", "-std=c11", "-Wall", "-Wextra", "-Werror")


class _Said(msgspec.Struct):
    arrivals: int
    errors: int
    p50_us: float
    p99_us: float
    max_us: float
    late_p99_us: float


def open_loop(target: Target, rate: float, connections: int, seconds: float, seed: int) -> Load:
    """*rate* requests a second for *seconds*, over *connections*; the *seed* fixes when they arrive."""
    program = built()
    with NamedTemporaryFile() as file:
        file.write(raw_request(target))
        file.flush()
        words = (target.port, f"{rate:.3f}", seconds, connections, seed, file.name)
        return parse(run([str(program), *map(str, words)], seconds), seconds, rate)


def parse(output: str, seconds: float, rate: float) -> Load:
    """Read what pace has printed."""
    said = msgspec.json.decode(output, type=_Said)
    return Load(
        seconds=seconds,
        requests=said.arrivals - said.errors,
        errors=said.errors,
        p50_s=said.p50_us / 1e6,
        p99_s=said.p99_us / 1e6,
        offered=rate,
        late_s=said.late_p99_us / 1e6,
    )


def raw_request(target: Target) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    body = target.body.read_bytes()
    headers = (("Host", f"127.0.0.1:{target.port}"), *target.headers, ("Content-Length", str(len(body))))
    lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode() + body


def built() -> Path:
    """The compiled generator; raises `Missing` without a C compiler."""
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
    program = CACHE / f"pace-{digest}"
    if program.exists():
        return program
    need("cc")
    program.parent.mkdir(parents=True, exist_ok=True)
    half = program.with_suffix(".half")
    done = subprocess.run(
        ["cc", *_FLAGS, "-o", half, _SOURCE, "-lm"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Missing(f"pace.c does not compile here: {done.stderr.strip()[-300:]}")
    return half.replace(program)

"""Closed loop over gRPC: h2load posts one framed message on every connection, again and again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.drivers.running import run
from bench.words import Load, Missing, Target

_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s),")
_REQUESTS = re.compile(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_TRAFFIC = re.compile(r"traffic: .*\((\d+)\) data")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def closed_loop(target: Target, connections: int, seconds: int, answer_bytes: int) -> Load:
    """One thread of h2load with one stream on each connection.

    HTTP status 200 says nothing about gRPC: whoever sends fewer bytes than answers of *answer_bytes*
    would be has sent errors. Raises `Missing`.
    """
    headers = [word for name, value in target.headers for word in ("-H", f"{name}: {value}")]
    words = ("h2load", "-t1", f"-c{connections}", "-m1", f"-D{seconds}s")
    with TemporaryDirectory() as folder:
        log = Path(folder) / "requests"
        output = run([*words, f"--log-file={log}", "-d", str(target.body), *headers, target.url], seconds)
        return parse(output, log.read_text().splitlines(), answer_bytes)


def parse(output: str, log: Sequence[str], answer_bytes: int) -> Load:
    """Read h2load's report, and its log of requests: start, status, microseconds."""
    finished, requests, traffic = (each.search(output) for each in (_FINISHED, _REQUESTS, _TRAFFIC))
    if finished is None or requests is None or traffic is None:
        raise Missing(f"h2load measured nothing: {output.strip()[-300:]}")
    succeeded, *unhappy = (int(each) for each in requests.groups())
    empty = max(0, succeeded - int(traffic[1]) // max(answer_bytes, 1))
    took_us = [int(line.split("\t")[2]) for line in log if line.split("\t")[1] == "200"]
    p50_us, p99_us = np.percentile(took_us, (50, 99)) if took_us else (0.0, 0.0)
    return Load(
        seconds=float(finished[1]) * _UNITS[finished[2]],
        requests=succeeded - empty,
        errors=sum(unhappy) + empty,
        p50_s=float(p50_us) / 1e6,
        p99_s=float(p99_us) / 1e6,
    )

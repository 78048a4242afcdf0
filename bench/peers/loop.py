"""A bare ONNX Runtime loop: batches of one size, one after the other, nothing else.

loop.py INPUTS.npz ROWS SECONDS      prints calls, seconds, CPU seconds, and those of the whole process
"""

from __future__ import annotations

import sys
import time

import numpy as np

from bench.peers.model import Model


def measure(inputs: str, rows: int, seconds: float) -> tuple[int, float, float]:
    """How many batches of *rows* the model answers, in which time, with how much CPU time."""
    model = Model()
    with np.load(inputs) as arrays:
        batch = {name: np.repeat(arrays[name], rows, axis=0) for name in arrays}
    for _ in range(3):
        model.run(batch)
    calls, began_s, cpu_s = 0, time.perf_counter(), time.process_time()
    while (took_s := time.perf_counter() - began_s) < seconds:
        model.run(batch)
        calls += 1
    return calls, took_s, time.process_time() - cpu_s


if __name__ == "__main__":
    print(*measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])), time.process_time())

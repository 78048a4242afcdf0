"""How many threads a version's batches get: measured on this machine, since no rule by size holds.

A batch of a tree ensemble or of a small network is done before a second thread has woken up; a large
network gains nearly a whole core by each. What gains nothing leaves the cores to other versions.
"""

from __future__ import annotations

from collections.abc import Callable

from forebay.serving.runtime import Backend

_QUICK_S = 0.001
_SURE_BYTES = 64 << 20
_GAIN = 0.9


def best_threads(
    size_bytes: int, most: int, opened: Callable[[int], Backend], batch_s: Callable[[Backend], float]
) -> Backend:
    """A version whose files take *size_bytes*, opened with as many threads of *most* as serve it best.

    *opened* loads it with a number of threads, *batch_s* times a batch. What is quick stays with one thread,
    what is large gets all without a trial, and between them one thread is tried, and all.
    """
    if most == 1 or size_bytes >= _SURE_BYTES:
        return opened(most)
    alone_s, alone = _tried(opened(1), batch_s)
    if alone_s < _QUICK_S:
        return alone
    alone.close()  # not beside the other: a small machine does not have twice the memory
    together_s, together = _tried(opened(most), batch_s)
    if together_s < _GAIN * alone_s:
        return together
    together.close()
    return opened(1)


def _tried(backend: Backend, batch_s: Callable[[Backend], float]) -> tuple[float, Backend]:
    try:
        return batch_s(backend), backend
    except Exception:
        backend.close()
        raise

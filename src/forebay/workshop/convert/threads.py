"""How many threads the native libraries below scikit-learn may start."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec

_WORTH_IT = 500_000


def threads_for(values: int) -> AbstractContextManager[object]:
    """One thread for little data: threads that wait for each other cost more than they bring.

    On a busy machine they cost a hundred times more, because they wait by spinning.
    """
    if values > _WORTH_IT or find_spec("threadpoolctl") is None:  # it comes with scikit-learn
        return nullcontext()
    import threadpoolctl  # noqa: PLC0415 (not everybody has it)

    limits: AbstractContextManager[object] = threadpoolctl.threadpool_limits(limits=1)
    return limits

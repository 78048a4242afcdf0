"""One version, one process, one batch: the `Backend` contract and its implementations.

No asyncio and no HTTP in here, so that a notebook, a job and a node run a model in the same way.
"""

from forebay.serving.runtime.backend import Backend, Budget, Opener, open_backend

__all__ = ["Backend", "Budget", "Opener", "open_backend"]

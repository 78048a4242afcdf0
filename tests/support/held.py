"""A lane that waits until a test lets it go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from forebay.core import Tensors
from forebay.serving.engine import Lane
from forebay.serving.engine.resident import Desk
from forebay.serving.runtime import Backend


class Held(Backend):
    """A lane whose model waits until it is let go."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._backend = lane._backend
        self._gate = threading.Event()
        self.began = threading.Event()

    signature = property(lambda self: self._backend.signature)

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        self.began.set()
        assert self._gate.wait(20)
        return self._backend.run(inputs, outputs)

    def close(self) -> None:
        self._backend.close()

    def let_go(self) -> None:
        self._gate.set()
        self.lane._backend = self._backend

    def wait_for(self, what: Callable[[Lane], bool]) -> None:
        for _ in range(500):
            if what(self.lane):
                return
            threading.Event().wait(0.01)
        raise AssertionError("never so")


@contextmanager
def holding(desk: Desk) -> Iterator[Held]:
    """Keep the model of a lane from answering, on a thread, until the end or until it is let go."""
    lane = desk
    assert isinstance(lane, Lane), "it is not loaded"
    lane._batcher._paces.clear()
    lane._batcher._first_s = 1.0  # a thread's work, not the loop's
    found = Held(lane)
    lane._backend = found
    try:
        yield found
    finally:
        found.let_go()

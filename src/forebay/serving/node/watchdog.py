"""Finds what stands still: a batch that never ends, or an event loop that does not come round.

A backend in this process cannot be stopped without the process. So the node says that it does not
live, answers for a while those whom it can, and leaves; its supervisor starts it anew. Whatever
computes in a process of its own is none of this watchdog's business: its calls end in time by
themselves.

Time is counted in looks, not by a clock: a process that was frozen, and a machine that was asleep,
wake up without having looked, and nothing has hung.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import Callable, Iterable

from forebay.serving.engine import Lane

_LOOKS = 20
_LONGEST_LOOK_S = 1.0
EXIT_CODE = 70
_log = logging.getLogger("forebay.node")


class Looks:
    """How often something was seen unchanged in a row.

    >>> looks = Looks(3)
    >>> [looks.stuck({"a": (1, True)}), looks.stuck({"a": (1, True)}), looks.stuck({"a": (2, True)})]
    ['', '', '']
    >>> [looks.stuck({"a": (2, True), "b": (1, False)}) for _ in range(3)]
    ['', '', 'a']
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[str, tuple[int, int]] = {}

    def stuck(self, now: dict[str, tuple[int, bool]]) -> str:
        """The name in *now* that was busy with one and the same number for *limit* looks, if there is one."""
        seen = {}
        for name, (number, busy) in now.items():
            before, looks = self._seen.get(name, (number, 0))
            seen[name] = (number, looks + 1 if busy and before == number else 0)
        self._seen = seen
        return next((name for name, (_, looks) in seen.items() if looks >= self._limit), "")


class Watchdog:
    """Looks after the lanes of a node, and after its loop.

    *found* hears, once, on the loop, which version hangs. A loop that stands still for as long ends the
    process at once, with the stacks of all its threads in the log.
    """

    def __init__(
        self, lanes: Callable[[], Iterable[tuple[str, Lane]]], limit_s: float, found: Callable[[str], None]
    ) -> None:
        self._lanes = lanes
        self._limit_s = limit_s
        self._found = found
        self._look_s = min(_LONGEST_LOOK_S, limit_s / _LOOKS)
        self._limit = max(1, round(limit_s / self._look_s))
        self._beats = 0
        self._over = threading.Event()

    async def run(self) -> None:
        """Look, until cancelled."""
        threading.Thread(target=self._listen, name="watchdog", daemon=True).start()
        looks = Looks(self._limit)
        try:
            while not (hung := looks.stuck(self._at_work())):
                await asyncio.sleep(self._look_s)
                self._beats += 1
            self._found(f"{hung} has not finished a batch for {self._limit_s:g} s")
            while True:
                await asyncio.sleep(self._look_s)
                self._beats += 1
        finally:
            self._over.set()

    def _at_work(self) -> dict[str, tuple[int, bool]]:
        return {name: (lane.calls, lane.computing) for name, lane in self._lanes() if not lane.apart}

    def _listen(self) -> None:
        """On a thread of its own: whether the loop comes round."""
        looks = Looks(self._limit)
        while not self._over.wait(self._look_s):
            if looks.stuck({"the event loop": (self._beats, True)}):
                _log.critical(
                    "the event loop stands still for %g s; leaving, to be started anew", self._limit_s
                )
                faulthandler.dump_traceback(all_threads=True)
                os._exit(EXIT_CODE)

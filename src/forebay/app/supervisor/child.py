"""One process that is started again whenever it dies."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic

from forebay.app.supervisor.announced import Announced, announcements
from forebay.app.supervisor.home import Part
from forebay.app.supervisor.logfile import LogFile

_PROBE_EVERY_S = 0.1
_KILLED_WAIT_S = 5.0
_TROUBLE_AFTER = 5


class Patience:
    """How long to wait before a child is started again: longer each time that it dies young.

    >>> patience = Patience()
    >>> [patience.after_death(lived_s=1.0) for _ in range(10)]
    [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    >>> patience.after_death(lived_s=60.0)
    0.1
    """

    _young_s = 10.0
    _longest_s = 30.0

    def __init__(self) -> None:
        self.died_young = 0

    def after_death(self, lived_s: float) -> float:
        """Seconds to wait after a child that lived for *lived_s*."""
        self.died_young = self.died_young + 1 if lived_s < self._young_s else 1
        return min(self._longest_s, round(0.1 * 2.0 ** (self.died_young - 1), 1))


class Child:
    """A command that is kept running; what it prints goes to its log.

    *probe* tells whether it answers; without one, the child says it itself (`NOTIFY_SOCKET`). *say* tells
    people, *changed* whoever writes down what runs.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        log: LogFile,
        probe: Callable[[], Awaitable[bool]] | None,
        say: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.part = Part()
        self.trouble = ""
        self.was_ready = asyncio.Event()
        self._command = command
        self._environ = environ
        self._log = log
        self._probe = probe
        self._say = say
        self._changed = changed
        self._patience = Patience()
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Run the command, and again, until `stop`."""
        while not self._stopping.is_set():
            started_s = monotonic()
            try:
                end = how_it_ended(await self._live())
            except OSError as error:
                end = f"could not be started ({error.strerror})"
            self._now(pid=0, ready=False)
            if self._stopping.is_set():
                return
            wait_s = self._patience.after_death(monotonic() - started_s)
            self._tell_of_death(end, wait_s)
            await _set_within(self._stopping, wait_s)
            self._now(restarts=self.part.restarts + 1)

    async def stop(self, within_s: float) -> None:
        """Ask the process to finish what it accepted; kill it when it takes longer than *within_s*."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        _signal(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), within_s)
        except TimeoutError:
            self._say(f"{self.name} did not finish within {within_s:g} s and was killed")
            _signal(process, signal.SIGKILL)
            await process.wait()

    async def _live(self) -> int:
        """One life of the process; its exit code."""
        with announcements() as announced:
            with self._log.pipe() as output:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**self._environ, **announced.environ},
                    process_group=0,  # a Ctrl-C is the supervisor's to hear: children are drained in order
                )
            self._process = process
            self._now(pid=process.pid)
            if self._stopping.is_set():
                _signal(process, signal.SIGTERM)
            watching = asyncio.create_task(self._watch(announced))
            try:
                return await process.wait()
            finally:
                watching.cancel()
                self._process = None
                self._log.catch_up()

    async def _watch(self, announced: Announced) -> None:
        """Wait until the process answers, and say so if it had died before."""
        probe = self._probe or announced
        while not await probe():
            await asyncio.sleep(_PROBE_EVERY_S)
        self.trouble = ""
        self._now(ready=True)
        self.was_ready.set()
        if self.part.restarts:
            self._say(f"{self.name} is ready again (process {self.part.pid})")

    def _tell_of_death(self, end: str, wait_s: float) -> None:
        again = f"starting it again in {wait_s:g} s"
        if self._patience.died_young < _TROUBLE_AFTER:
            self._say(f"{self.name} {end}; {again}")
            return
        self.trouble = (
            f"{self.name} does not stay up ({end}, {self._patience.died_young} times); "
            f"its log {self._log.path} ends: {self._log.last_line or 'with nothing'}"
        )
        self._say(f"{self.trouble}; {again}")
        self._changed()

    def _now(self, *, pid: int | None = None, restarts: int | None = None, ready: bool | None = None) -> None:
        old = self.part
        self.part = Part(
            old.pid if pid is None else pid,
            old.restarts if restarts is None else restarts,
            old.ready if ready is None else ready,
        )
        self._changed()


def how_it_ended(code: int) -> str:
    """A process's end in words.

    >>> how_it_ended(-9), how_it_ended(1), how_it_ended(0)
    ('was killed by SIGKILL', 'ended with exit code 1', 'ended by itself')
    """
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}" if code else "ended by itself"


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return  # it was faster


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return

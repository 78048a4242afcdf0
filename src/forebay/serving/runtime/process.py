"""The backend `python`: one process of its own, started again whenever it dies, hangs or grows too large."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from forebay.core import ArtifactInfo, Signature, Tensors
from forebay.core.errors import Broken, Died, ForebayError, Malformed, NotReady
from forebay.serving.runtime.apart.worker import Gone, Worker
from forebay.serving.runtime.backend import Backend, Budget

_PATIENT_S = 20.0
_SOON_S = 3.0
_log = logging.getLogger("forebay.model")


class Pauses:
    """How long to wait before a process is started again: not at all, then longer each time it dies young.

    One that has answered a batch was old enough.

    >>> pauses = Pauses()
    >>> [pauses.after_life_of(1.0) for _ in range(9)]
    [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    >>> pauses.after_life_of(60.0)
    0.0
    """

    _young_s = 10.0
    _longest_s = 30.0

    def __init__(self) -> None:
        self.deaths = 0

    def after_life_of(self, lived_s: float) -> float:
        """Seconds to wait after a process that lived for *lived_s*."""
        self.deaths = self.deaths + 1 if lived_s < self._young_s else 1
        return min(self._longest_s, 0.5 * 2.0 ** (self.deaths - 2)) if self.deaths > 1 else 0.0


class ProcessBackend(Backend):
    """A model in a process of its own.

    A batch whose process dies gets `Died`; the next ones wait for its successor, or are told `NotReady`
    while there is none because it keeps dying.
    """

    def __init__(self, folder: Path, info: ArtifactInfo, budget: Budget) -> None:
        """Start the process; raises `Malformed` when the model cannot be loaded or the process dies of it."""
        self._folder, self._info, self._budget = folder, info, budget
        self._changing = threading.Condition()
        self._worker: Worker | None = None
        self._closed = False
        self._trouble = ""
        self._next_try_s = 0.0
        self._pauses = Pauses()
        self._reviver: threading.Thread | None = None
        try:
            worker = self._started()
        except Gone as gone:
            raise Malformed(f"the process of this version did not come up: {gone}") from gone
        self._signature = worker.signature
        self._now_works(worker)

    @property
    def signature(self) -> Signature:
        return self._signature

    @property
    def apart(self) -> bool:
        return True

    @property
    def trouble(self) -> str:
        return self._trouble

    @property
    def apart_bytes(self) -> int:
        worker = self._worker
        return 0 if worker is None else worker.resident_bytes

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        worker = self._working()
        try:
            answer = worker.run(inputs, outputs)
        except Gone as gone:
            self._lost(worker, str(gone))
            raise Died(f"the process of this version is gone: {gone}; it is being started again") from gone
        if why := worker.too_large:
            _log.warning("%s: %s; a new process takes over", self._budget.label, why)
            worker.kill(why)
            self._lost(worker, why)
        self._check(answer)
        return answer

    def close(self) -> None:
        with self._changing:
            self._closed = True
            worker, reviver = self._worker, self._reviver
            self._worker = None
            self._changing.notify_all()
        if worker is not None:
            worker.close()
        if reviver is not None:
            reviver.join()

    def _started(self) -> Worker:
        started_s = time.monotonic()
        worker = Worker(self._folder, self._info, self._budget, self._ended)
        if why := worker.too_large:
            worker.close()
            raise Malformed(f"this version is too large: {why} (FOREBAY_CODE_MEMORY_BYTES)")
        _log.info(
            "%s has a process of its own, %d, ready after %.1f s",
            self._budget.label,
            worker.pid,
            time.monotonic() - started_s,
        )
        return worker

    def _now_works(self, worker: Worker) -> None:
        with self._changing:
            if not self._closed:
                self._worker, self._trouble, self._born_s = worker, "", time.monotonic()
                self._changing.notify_all()
        if self._closed:
            worker.close()
        elif not worker.alive:  # it died before anybody would have heard of it
            self._ended(worker)

    def _working(self) -> Worker:
        """The process that answers; waits for one that is just being started."""
        with self._changing:
            worker = self._worker
        if worker is not None and not worker.alive:
            self._ended(worker)
        with self._changing:
            self._changing.wait_for(self._worker_or_news, _PATIENT_S)
            if self._closed:
                raise Died("this version has been unloaded")
            if self._worker is None:
                wait_s = max(1.0, self._next_try_s - time.monotonic())
                raise NotReady(self._trouble, retry_after_s=wait_s)
            return self._worker

    def _worker_or_news(self) -> bool:
        later = self._next_try_s - time.monotonic() > _SOON_S
        return self._worker is not None or self._closed or later

    def _ended(self, worker: Worker) -> None:
        worker.kill("")
        self._lost(worker, worker.end)

    def _lost(self, worker: Worker, why: str) -> None:
        """*worker* is gone: have another one started, unless somebody has seen to that."""
        with self._changing:
            if self._worker is not worker or self._closed:
                return
            self._worker = None
            self._trouble = f"its process is gone: {why}; it is being started again"
            lived_s = float("inf") if worker.answered else time.monotonic() - self._born_s
            self._reviver = threading.Thread(target=self._revive, args=(why, lived_s), daemon=True)
            self._reviver.start()
        _log.warning("%s: its process is gone: %s", self._budget.label, why)

    def _revive(self, why: str, lived_s: float) -> None:
        while not self._pause(why, self._pauses.after_life_of(lived_s)):
            try:
                worker = self._started()
            except (Gone, ForebayError, OSError) as error:
                why, lived_s = str(error), 0.0
                _log.warning("%s could not be started again: %s", self._budget.label, why)
            else:
                self._now_works(worker)
                return

    def _pause(self, why: str, wait_s: float) -> bool:
        """Wait before the next try, and say so; whether this backend has been closed."""
        with self._changing:
            if wait_s:
                self._next_try_s = time.monotonic() + wait_s
                self._trouble = (
                    f"its process does not stay up ({why}, {self._pauses.deaths} times); the log has what it "
                    f"printed; it is tried again in {wait_s:g} s"
                )
                self._changing.notify_all()
            return self._changing.wait_for(lambda: self._closed, wait_s)

    def _check(self, answer: Tensors) -> None:
        for name, array in answer.items():
            spec = self._signature.output(name)
            if array.dtype != spec.datatype.dtype:
                raise Broken(f"the model gave {array.dtype} for {name!r}, declared {spec.datatype}")


def open_python(folder: Path, info: ArtifactInfo, budget: Budget) -> ProcessBackend:
    """The `Opener` for artifacts with the backend `python`."""
    return ProcessBackend(folder, info, budget)

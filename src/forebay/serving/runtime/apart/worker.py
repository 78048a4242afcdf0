"""The node's end of a process of its own: started, asked, watched, killed."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

from forebay.core import ArtifactInfo, Signature, Tensors
from forebay.core.errors import Broken, Malformed
from forebay.serving.runtime.apart.frames import (
    Buffer,
    Frame,
    Inbox,
    Kind,
    Ready,
    Start,
    Told,
    Unreadable,
    pack,
    pack_head,
    pack_tensors,
    unpack_head,
    unpack_tensors,
)
from forebay.serving.runtime.backend import Budget

_HOME = "forebay-model-"
_LOOK_EVERY_S = 0.2
_LEAVING_S = 1.0
_MOST_BUFFERS = 256
_LINE_BYTES = 4096
_INHERITED = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_BOOT = """\
import sys
sys.path.append({root!r})
from forebay.serving.runtime.apart.inside import main
main({descriptor}, {parent})
"""
_log = logging.getLogger("forebay.model")

# Linux sends the signal of PR_SET_PDEATHSIG when the *thread* that made the child ends, so all children
# are made by one that does not.
_maker = ThreadPoolExecutor(1, thread_name_prefix="forebay-maker")


class Gone(Exception):
    """The process has ended, or had to be ended; the message is how, as in "it was killed by SIGKILL"."""


class Worker:
    """One process with one loaded model. Calls come one at a time; the rest may be asked from any thread."""

    def __init__(
        self, folder: Path, info: ArtifactInfo, budget: Budget, ended: Callable[[Worker], None]
    ) -> None:
        """Start it and wait until its model is loaded; *ended* hears, on a thread, that it is gone.

        Raises `Malformed` for what cannot be loaded, `Gone` when it died instead of answering.
        """
        self._budget = budget
        self.answered = False
        self._calls = 0
        self._why = ""
        self._killed = False
        self._killing = threading.Lock()
        self._asking = threading.Lock()
        self._ended = ended
        self._inbox = Inbox()
        self._home = _new_home()
        try:
            self._start()
        except OSError:
            shutil.rmtree(self._home, ignore_errors=True)
            raise
        self.signature = self._load(folder, info)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def end(self) -> str:
        """How it ended, as in "it was killed by SIGKILL"."""
        return self._why or _how_it_ended(self._process.wait())

    @property
    def resident_bytes(self) -> int:
        """Its resident memory now; 0 when it is gone, and where there is no /proc."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_bytes().split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def too_large(self) -> str:
        """How it has outgrown its limit, as in "it takes 700 MB of 512"; empty while it has not."""
        limit, now = self._budget.memory_bytes, self.resident_bytes
        if not limit or now <= limit:
            return ""
        return f"it takes {now >> 20} MB of memory, and {limit >> 20} MB are allowed"

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        """The model's answer; raises `Malformed`, `Broken`, or `Gone` when there is none to come."""
        frame = self._ask(Kind.RUN, *pack_tensors(inputs), within_s=self._budget.call_s)
        try:
            if frame.kind is Kind.DONE:
                found = unpack_tensors(frame)
                answer = {name: found[name] for name in outputs}
                self.answered = True
                return answer
            self._raise(frame)
        except (Unreadable, KeyError) as error:
            self._refuse(error)

    def kill(self, why: str = "it was stopped") -> None:
        """End it and everything that it has started; harmless when it has ended."""
        with self._killing:
            first, self._killed = not self._killed, True
            if first and self.alive:
                self._why = why
            if first:
                with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left
                    os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End it, and wait until nothing of it is left."""
        self.kill()
        self._listener.join()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(_LOOK_EVERY_S)
        self._line = ours
        with theirs:
            self._process = _maker.submit(self._make, theirs.fileno()).result()
        self._listener = threading.Thread(target=self._listen, name=f"model-{self.pid}", daemon=True)
        self._listener.start()

    def _make(self, descriptor: int) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).parents[4])
        boot = _BOOT.format(root=root, descriptor=descriptor, parent=os.getpid())
        return subprocess.Popen(  # noqa: S603 (our own interpreter, and our own lines)
            [sys.executable, "-I", "-B", "-u", "-X", "utf8", "-c", boot],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment(),
            cwd=self._home,
            pass_fds=(descriptor,),
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        """Nothing that is the node's own: no key, no address, no home."""
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        threads = dict.fromkeys(_THREADS, str(self._budget.threads))
        return kept | threads | {"HOME": self._home, "TMPDIR": self._home}

    def _load(self, folder: Path, info: ArtifactInfo) -> Signature:
        try:
            start = pack_head(Start(str(folder), info, self._budget.threads))
            frame = self._ask(Kind.START, start, (), within_s=self._budget.start_s)
            if frame.kind is not Kind.READY:
                self._raise(frame)
            return unpack_head(frame, Ready).signature
        except Unreadable as error:
            self._refuse(error)
        except BaseException:
            self.close()
            raise

    def _ask(self, kind: Kind, head: bytes, body: Sequence[Buffer], *, within_s: float) -> Frame:
        self._calls += 1
        watch = _Watch(self, within_s)
        try:
            with self._asking:
                self._send(pack(kind, self._calls, head, body), watch)
                frame = self._receive(watch)
        except OSError:
            raise self._gone() from None
        except Unreadable as error:
            self._refuse(error)
        if frame.call != self._calls:
            self._refuse(f"it answers call {frame.call}, asked was call {self._calls}")
        return frame

    def _send(self, buffers: list[Buffer], watch: _Watch) -> None:
        waiting = [memoryview(buffer) for buffer in buffers]
        while waiting:
            try:
                sent = self._line.sendmsg(waiting[:_MOST_BUFFERS])
            except TimeoutError:
                watch.look()
                continue
            while waiting and sent >= len(waiting[0]):
                sent -= len(waiting.pop(0))
            if sent:
                waiting[0] = waiting[0][sent:]

    def _receive(self, watch: _Watch) -> Frame:
        while True:
            try:
                count = self._line.recv_into(self._inbox.room())
            except TimeoutError:
                watch.look()
                continue
            if not count:
                raise self._gone()
            if (frame := self._inbox.filled(count)) is not None:
                return frame

    def _raise(self, frame: Frame) -> NoReturn:
        """Say what the process said, where that is no answer."""
        message = unpack_head(frame, Told).message
        if frame.kind is Kind.REFUSED:
            raise Malformed(message)
        if frame.kind is Kind.FAILED:
            raise Broken(message)
        raise Unreadable(f"{frame.kind.name} is no answer")

    def _refuse(self, what: object) -> NoReturn:
        self.kill(f"it said what no model says ({what})")
        raise self._gone()

    def _gone(self) -> Gone:
        with suppress(subprocess.TimeoutExpired):  # one that is just leaving has its own exit code to tell
            self._process.wait(_LEAVING_S)
        self.kill("")
        return Gone(self.end)

    def _listen(self) -> None:
        """Write what it prints into the log, until it is gone."""
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            while line := printed.readline(_LINE_BYTES):
                text = line.decode("utf-8", "replace").rstrip()
                _log.info("%s | %s", self._budget.label, "".join(c if c.isprintable() else " " for c in text))
        self._process.wait()
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        with self._asking:  # a descriptor that is closed under a reader may be somebody else's by then
            self._line.close()
        shutil.rmtree(self._home, ignore_errors=True)
        self._ended(self)


class _Watch:
    """Looks after a process that is being waited for."""

    def __init__(self, worker: Worker, within_s: float) -> None:
        self._worker = worker
        self._within_s = within_s
        self._give_up_at = time.monotonic() + within_s

    def look(self) -> None:
        """End the process when it is late or too large; whoever waits finds it gone."""
        if why := self._worker.too_large:
            self._worker.kill(why)
        elif time.monotonic() > self._give_up_at:
            self._worker.kill(f"it did not answer within {self._within_s:g} s")


def _new_home() -> str:
    """An empty folder for a process, called after this one."""
    _sweep()
    return tempfile.mkdtemp(prefix=f"{_HOME}{os.getpid()}-")


@cache
def _sweep() -> None:
    """Remove, once, the folders of nodes that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_HOME}*-*"):
        pid = folder.name.removeprefix(_HOME).partition("-")[0]
        if pid.isdigit() and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}"
    return f"it ended with exit code {code}"

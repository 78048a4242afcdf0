"""What runs in the process of its own: load the model, then answer one frame after the other."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from forebay.core import Signature
from forebay.core.errors import ForebayError, Malformed, message_for
from forebay.serving.runtime.apart.code import Model, load_code
from forebay.serving.runtime.apart.frames import (
    Frame,
    Inbox,
    Kind,
    Ready,
    Start,
    Told,
    pack,
    pack_head,
    pack_tensors,
    unpack_head,
    unpack_tensors,
)
from forebay.serving.runtime.apart.torch_export import load_pt2

_PR_SET_PDEATHSIG = 1
_KILL_ME_FIRST = b"500"


def main(descriptor: int, parent: int) -> None:
    """Serve the socket *descriptor* until the node closes it, or dies."""
    _settle_in(parent)
    line = socket.socket(fileno=descriptor)
    line.set_inheritable(False)
    frames = _frames(line)
    start = next(frames, None)
    if start is None:
        return
    model = _loaded(line, start)
    if model is None:
        return
    for frame in frames:
        _answer(line, model, frame)


def _settle_in(parent: int) -> None:
    """Die with the node, before the node when memory is short, and without a core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        Path("/proc/self/oom_score_adj").write_bytes(_KILL_ME_FIRST)
    if os.getppid() != parent:
        sys.exit("the node has gone already")


def _frames(line: socket.socket) -> Iterator[Frame]:
    inbox = Inbox()
    while count := line.recv_into(inbox.room()):
        if (frame := inbox.filled(count)) is not None:
            yield frame


def _loaded(line: socket.socket, frame: Frame) -> Model | None:
    try:
        model, signature = _load(unpack_head(frame, Start))
    except ForebayError as error:
        _say(line, Kind.REFUSED, frame.call, Told(str(error)))
        return None
    _say(line, Kind.READY, frame.call, Ready(signature))
    return model


def _load(start: Start) -> tuple[Model, Signature]:
    if start.info.code:
        return load_code(Path(start.folder), start.info)
    if start.info.model.endswith(".pt2"):
        return load_pt2(Path(start.folder), start.info, start.threads)
    raise Malformed(f"{start.info.model} is no .pt2, and its artifact names no entry to call instead")


def _answer(line: socket.socket, model: Model, frame: Frame) -> None:
    try:
        head, body = pack_tensors(model(unpack_tensors(frame)))
    except ForebayError as error:
        kind = Kind.REFUSED if isinstance(error, Malformed) else Kind.FAILED
        _say(line, kind, frame.call, Told(str(error)))
    except Exception as error:  # noqa: BLE001 (the outermost loop: a failure is this batch's alone)
        traceback.print_exc()
        _say(line, Kind.FAILED, frame.call, Told(message_for(error)))
    else:
        for part in pack(Kind.DONE, frame.call, head, body):
            line.sendall(part)


def _say(line: socket.socket, kind: Kind, call: int, head: Ready | Told) -> None:
    for part in pack(kind, call, pack_head(head)):
        line.sendall(part)

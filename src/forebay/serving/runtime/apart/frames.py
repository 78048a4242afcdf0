"""What a node and a process that works for it say to each other, byte by byte.

    length u64 | kind u8 | call u32 | head u32 | head | body        (big-endian)

`length` counts what follows itself, `head` the bytes of the head alone. The node says START and then
RUN as often as it likes; the process answers each with one frame that repeats the call's number.
Heads are JSON; a body is the bytes of arrays, one after the other, as little-endian machines have
them. Text is a u32 length and UTF-8 for each item.

>>> packed = b"".join(pack(Kind.REFUSED, 7, pack_head(Told("no"))))
>>> packed.hex(" ", 1)
'00 00 00 00 00 00 00 19 05 00 00 00 07 00 00 00 10 7b 22 6d 65 73 73 61 67 65 22 3a 22 6e 6f 22 7d'
>>> inbox = Inbox()
>>> inbox.take(packed[:20]), inbox.take(packed[20:])[0].kind.name
([], 'REFUSED')
>>> head, body = pack_tensors({"x": np.array([[1.5]], dtype=np.float32)})
>>> head, bytes(body[0]).hex(" ")
(b'[{"name":"x","dtype":"<f4","shape":[1,1],"size_bytes":4}]', '00 00 c0 3f')
>>> bytes(pack_tensors({"t": np.array(["ä", "b"], dtype=object)})[1][0]).hex(" ")
'00 00 00 02 c3 a4 00 00 00 01 62'
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec
import numpy as np

from forebay.core import Array, ArtifactInfo, DataType, Signature, Tensors

LIMIT_BYTES = 2 << 30
_FIXED = struct.Struct(">QBII")
_AFTER_LENGTH = _FIXED.size - 8
_U32 = struct.Struct(">I")
_TEXT = "text"
_DTYPES = frozenset(kind.dtype.str for kind in DataType if kind is not DataType.BYTES)

Buffer: TypeAlias = bytes | bytearray | memoryview


_Head = TypeVar("_Head")


class Unreadable(Exception):
    """What arrived is no frame, or says what it cannot mean."""


class Kind(IntEnum):
    """What a frame is: the first and the third are the node's."""

    START = 1
    READY = 2
    RUN = 3
    DONE = 4
    REFUSED = 5
    FAILED = 6


class Start(msgspec.Struct, frozen=True):
    """Head of START: what to load, and with how many threads."""

    folder: str
    info: ArtifactInfo
    threads: int


class Ready(msgspec.Struct, frozen=True):
    """Head of READY: what the loaded model takes and gives."""

    signature: Signature


class Told(msgspec.Struct, frozen=True):
    """Head of REFUSED (the input is wrong) and of FAILED (the model is)."""

    message: str


class TensorHead(msgspec.Struct, frozen=True):
    """One array of a body: its NumPy dtype (`text` for text), its shape, how many bytes it takes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


class Frame(NamedTuple):
    """One thing said; its `body` is nobody else's and may be kept."""

    kind: Kind
    call: int
    head: bytes
    body: memoryview


def pack(kind: Kind, call: int, head: bytes = b"", body: Iterable[Buffer] = ()) -> list[Buffer]:
    """A frame as buffers to be sent in turn; arrays are not copied."""
    parts = list(body)
    size = _AFTER_LENGTH + len(head) + sum(len(part) for part in parts)
    return [_FIXED.pack(size, kind, call, len(head)) + head, *parts]


class Inbox:
    """Frames out of bytes that arrive in pieces of any size. Knows no socket."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._room = memoryview(b"")
        self._next_frame()

    def room(self) -> memoryview:
        """Where the next bytes belong; never empty."""
        return self._room

    def filled(self, count: int) -> Frame | None:
        """*count* bytes have been written into `room`: the frame that they complete. Raises `Unreadable`."""
        self._room = self._room[count:]
        if self._room:
            return None
        if self._rest is None:
            self._begin_rest()
            return None
        kind, call, head_bytes, rest = self._kind, self._call, self._head_bytes, self._rest
        self._next_frame()
        return Frame(kind, call, bytes(rest[:head_bytes]), rest[head_bytes:])

    def take(self, data: Buffer) -> list[Frame]:
        """Every frame that *data* completes. Raises `Unreadable`."""
        frames, view = [], memoryview(data)
        while view:
            count = min(len(view), len(self._room))
            self._room[:count] = view[:count]
            view = view[count:]
            if (frame := self.filled(count)) is not None:
                frames.append(frame)
        return frames

    def _next_frame(self) -> None:
        self._fixed = bytearray(_FIXED.size)
        self._room = memoryview(self._fixed)
        self._rest: memoryview | None = None

    def _begin_rest(self) -> None:
        size, kind, self._call, self._head_bytes = _FIXED.unpack(self._fixed)
        try:
            self._kind = Kind(kind)
        except ValueError:
            raise Unreadable(f"{kind} is no kind of frame") from None
        size -= _AFTER_LENGTH
        if not 0 < size <= self._limit_bytes or self._head_bytes > size:
            raise Unreadable(f"a frame cannot have {size} bytes, {self._head_bytes} of them in its head")
        self._room = self._rest = memoryview(bytearray(size))


def pack_head(head: msgspec.Struct) -> bytes:
    """*head* as it stands in a frame."""
    return msgspec.json.encode(head)


def pack_tensors(tensors: Tensors) -> tuple[bytes, list[Buffer]]:
    """Head and body of *tensors*."""
    heads, body = [], []
    for name, array in tensors.items():
        data = _bytes_of(array)
        dtype = _TEXT if array.dtype == object else array.dtype.newbyteorder("<").str
        heads.append(TensorHead(name, dtype, array.shape, len(data)))
        body.append(data)
    return msgspec.json.encode(heads), body


def unpack_tensors(frame: Frame) -> Tensors:
    """The arrays of *frame*, text as `bytes`; they share its body. Raises `Unreadable`."""
    tensors, at = {}, 0
    for head in _decoded(frame.head, tuple[TensorHead, ...]):
        data = frame.body[at : at + head.size_bytes]
        at += head.size_bytes
        if head.size_bytes < 0 or len(data) != head.size_bytes:
            raise Unreadable(f"the array {head.name!r} is not all there")
        tensors[head.name] = _array_of(head, data)
    return tensors


def unpack_head(frame: Frame, kind: type[_Head]) -> _Head:
    """The head of *frame*. Raises `Unreadable`."""
    return _decoded(frame.head, kind)


def _decoded(head: bytes, kind: type[_Head]) -> _Head:
    try:
        return msgspec.json.decode(head, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"a head cannot be read: {error}") from error


def _bytes_of(array: Array) -> Buffer:
    if array.dtype != object:
        ordered = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        return ordered.reshape(-1).view(np.uint8).data
    items = [_text_bytes(item) for item in array.flat]
    return b"".join(part for item in items for part in (_U32.pack(len(item)), item))


def _text_bytes(item: object) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogateescape")


def _array_of(head: TensorHead, data: memoryview) -> Array:
    count = math.prod(head.shape)
    if any(size < 0 for size in head.shape):
        raise Unreadable(f"the array {head.name!r} has the shape {list(head.shape)}")
    if head.dtype == _TEXT:
        texts = _texts(data, count)
        array = np.empty(count, dtype=object)
        array[:] = texts
        return array.reshape(head.shape)
    if head.dtype not in _DTYPES or np.dtype(head.dtype).itemsize * count != len(data):
        raise Unreadable(f"the array {head.name!r} is no {head.dtype} of the shape {list(head.shape)}")
    return np.frombuffer(data, dtype=head.dtype).reshape(head.shape)


def _texts(data: memoryview, count: int) -> Sequence[bytes]:
    if count * _U32.size > len(data):
        raise Unreadable("a text is not all there")
    items, at = [], 0
    while at < len(data):
        end = at + _U32.size
        if end > len(data):
            raise Unreadable("a text is not all there")
        (size,) = _U32.unpack(data[at:end])
        at = end + size
        if at > len(data):
            raise Unreadable("a text is not all there")
        items.append(bytes(data[end:at]))
    if len(items) != count:
        raise Unreadable(f"there are {len(items)} texts where {count} were announced")
    return items

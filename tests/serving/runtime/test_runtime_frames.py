"""What a node and a process of its own say to each other survives any cut, and nonsense is refused."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from forebay.core import Array, DataType, Tensors
from forebay.serving.runtime.apart.frames import (
    Frame,
    Inbox,
    Kind,
    Told,
    Unreadable,
    pack,
    pack_head,
    pack_tensors,
    unpack_head,
    unpack_tensors,
)

NUMBERS = [kind.dtype for kind in DataType if kind is not DataType.BYTES]
SHAPES = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
TEXTS = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.binary(max_size=5))
ARRAYS = st.one_of(
    st.sampled_from(NUMBERS).flatmap(lambda dtype: arrays(dtype, SHAPES)),
    arrays(np.dtype(object), SHAPES, elements=TEXTS),
)


def packed(kind: Kind, call: int, tensors: Tensors) -> bytes:
    head, body = pack_tensors(tensors)
    return b"".join(pack(kind, call, head, body))


def as_sent(array: Array) -> Array:
    if array.dtype != object:
        return array
    items = [item if isinstance(item, bytes) else item.encode() for item in array.flat]
    sent = np.empty(array.size, dtype=object)
    sent[:] = items
    return sent.reshape(array.shape)


def same(got: Tensors, sent: Tensors) -> None:
    assert list(got) == list(sent)
    for name, array in sent.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], as_sent(array), strict=True)


@given(st.lists(st.dictionaries(st.text(max_size=4), ARRAYS, max_size=3), max_size=4), st.data())
def test_frames_arrive_whole_however_the_stream_is_cut(said: list[Tensors], data: st.DataObject) -> None:
    stream = b"".join(packed(Kind.RUN, i, tensors) for i, tensors in enumerate(said))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    inbox, frames = Inbox(), list[Frame]()
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        frames += inbox.take(stream[begin:end])
    assert [frame.call for frame in frames] == list(range(len(said)))
    for frame, tensors in zip(frames, said, strict=True):
        same(unpack_tensors(frame), tensors)


def test_a_frame_arrives_whole_when_every_byte_comes_alone_and_wherever_it_is_cut() -> None:
    tensors = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "t": np.array(["ä", b"\xff"], dtype=object)}
    stream = packed(Kind.DONE, 3, tensors)
    for cut in range(len(stream)):
        inbox = Inbox()
        assert inbox.take(stream[:cut]) == []
        (frame,) = inbox.take(stream[cut:])
        same(unpack_tensors(frame), tensors)
    inbox = Inbox()
    frames = [frame for i in range(len(stream)) for frame in inbox.take(stream[i : i + 1])]
    assert [frame.kind for frame in frames] == [Kind.DONE]


@given(st.binary(max_size=200))
def test_rubbish_is_refused_or_waited_for_and_nothing_else(rubbish: bytes) -> None:
    with suppress(Unreadable):
        for frame in Inbox(limit_bytes=1000).take(rubbish):
            unpack_tensors(frame)


@given(st.dictionaries(st.text(max_size=3), ARRAYS, min_size=1, max_size=3), st.data())
def test_a_frame_with_a_wrong_byte_never_raises_anything_but_unreadable(
    tensors: Tensors, data: st.DataObject
) -> None:
    head, body = pack_tensors(tensors)
    broken = bytearray(b"".join([head, *map(bytes, body)]))
    at = data.draw(st.integers(0, len(broken) - 1))
    broken[at] = data.draw(st.integers(0, 255))
    whole = memoryview(broken)
    with suppress(Unreadable):
        unpack_tensors(Frame(Kind.DONE, 1, bytes(whole[: len(head)]), whole[len(head) :]))


@pytest.mark.parametrize(
    ("head", "body", "sentence"),
    [
        (b"[", b"", "cannot be read"),
        (b'[{"name":"x","dtype":"<f4","shape":[2],"size_bytes":8}]', b"1234", "is not all there"),
        (b'[{"name":"x","dtype":"<f4","shape":[3],"size_bytes":8}]', b"12345678", "is no <f4"),
        (b'[{"name":"x","dtype":"|O","shape":[1],"size_bytes":8}]', b"12345678", r"is no \|O"),
        (b'[{"name":"x","dtype":"<f4","shape":[-2,-1],"size_bytes":8}]', b"12345678", "has the shape"),
        (b'[{"name":"x","dtype":"text","shape":[99999999999],"size_bytes":4}]', b"1234", "not all there"),
        (b'[{"name":"x","dtype":"text","shape":[1],"size_bytes":-1}]', b"1234", "not all there"),
    ],
)
def test_heads_that_lie_are_refused(head: bytes, body: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence):
        unpack_tensors(Frame(Kind.DONE, 1, head, memoryview(body)))


def test_a_frame_of_an_unknown_kind_or_of_an_absurd_size_is_refused() -> None:
    good = b"".join(pack(Kind.FAILED, 1, pack_head(Told("no"))))
    with pytest.raises(Unreadable, match="9 is no kind"):
        Inbox().take(good[:8] + b"\x09" + good[9:])
    with pytest.raises(Unreadable, match="cannot have"):
        Inbox(limit_bytes=10).take(good)
    with pytest.raises(Unreadable, match="cannot have"):
        Inbox().take(b"\xff" * 8 + good[8:])
    with pytest.raises(Unreadable, match="cannot have"):
        Inbox().take(good[:13] + b"\xff\xff\xff\xff" + good[17:])
    with pytest.raises(Unreadable, match="cannot be read"):
        unpack_head(Frame(Kind.FAILED, 1, b"{}", memoryview(b"")), Told)

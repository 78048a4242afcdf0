"""A client keeps its temper, and never does twice what must happen once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.client.door import Door, Patience
from forebay.client.results import Project
from forebay.core.errors import Broken, Conflict, Died, Full, Late, NotFound, NotReady
from support.peer import Peer, Reply, peer

QUICK = Patience(tries=4, longest_s=2.0, first_s=0.01)
OK = Reply(body=b'{"name": "default", "a field of a later release": 1}')
BUSY = Reply(503, b'{"type": "urn:forebay:problem:not-ready", "detail": "busy"}', (("Retry-After", "1"),))


@contextmanager
def talking(*replies: Reply, timeout_s: float = 5.0) -> Iterator[tuple[Door, Peer]]:
    with (
        peer(replies) as there,
        closing(Door(there.url, "fb-0-k", timeout_s=timeout_s, patience=QUICK)) as door,
    ):
        yield door, there


def test_the_key_goes_with_every_call_and_unknown_fields_are_passed_over() -> None:
    with talking(OK, OK) as (door, there):
        assert door.ask("GET", "/a", Project).name == "default"
        door.ask("POST", "/b", Project, json={"n": 1})
    assert [asked.key for asked in there.asked] == ["Bearer fb-0-k"] * 2
    assert there.asked[1].body == b'{"n":1}'


def test_a_busy_server_is_asked_again_when_it_says_and_not_before() -> None:
    with talking(BUSY, OK) as (door, there):
        started = time.monotonic()
        assert door.ask("POST", "/a", Project, json={}).name == "default"
        assert time.monotonic() - started >= 1.0
    assert len(there.asked) == 2


def test_a_server_that_stays_busy_is_given_up_and_its_sentence_is_told() -> None:
    full = Reply(429, b'{"type": "urn:forebay:problem:full", "detail": "the queue is full"}')
    with talking(*[full] * 4) as (door, there), pytest.raises(Full, match="the queue is full"):
        door.send("GET", "/a")
    assert len(there.asked) == 4


def test_a_wait_that_is_too_long_is_the_callers_to_decide() -> None:
    later = Reply(429, b"{}", (("Retry-After", "3600"),))
    with talking(later) as (door, _), pytest.raises(Full) as caught:
        door.send("GET", "/a")
    assert caught.value.retry_after_s == 3600


@pytest.mark.parametrize("reply", [Reply(502, b"{}"), Reply(503, b"{}"), Reply(200, b"{}" * 100, cut=True)])
def test_what_may_have_happened_is_not_sent_twice(reply: Reply) -> None:
    with talking(reply, OK) as (door, there), pytest.raises((Died, NotReady)):
        door.send("POST", "/publish", json={})
    assert len(there.asked) == 1


@pytest.mark.parametrize("reply", [Reply(502, b"{}"), Reply(503, b"{}"), Reply(200, b"{}" * 100, cut=True)])
def test_a_look_is_repeated_whatever_went_wrong(reply: Reply) -> None:
    with talking(reply, OK) as (door, there):
        assert door.ask("GET", "/look", Project).name == "default"
    assert len(there.asked) == 2


def test_a_streamed_body_is_sent_whole_again() -> None:
    def body() -> Iterator[bytes]:
        yield from (b"ab", b"cd")

    with talking(Reply(503, b"{}"), OK) as (door, there):
        door.send("PUT", "/blob", body=body, headers={"Content-Length": "4"})
    assert [asked.body for asked in there.asked] == [b"abcd", b"abcd"]


def test_a_refusal_is_not_argued_with() -> None:
    with (
        talking(Reply(409, b'{"detail": "in use"}')) as (door, there),
        pytest.raises(Conflict, match="in use"),
    ):
        door.send("DELETE", "/a")
    assert len(there.asked) == 1


def test_what_may_be_absent_is_no_error() -> None:
    with talking(Reply(404, b"")) as (door, _):
        assert door.send("HEAD", "/blob", absent=frozenset({404})).status_code == 404
    with talking(Reply(404, b"")) as (door, _), pytest.raises(NotFound):
        door.send("HEAD", "/blob")


def test_a_server_that_answers_too_late_is_named_with_the_limit() -> None:
    def slowly() -> Iterator[Reply]:
        time.sleep(0.5)
        yield OK

    late = pytest.raises(Late, match=r"did not answer within 0\.1 s")
    with peer(slowly()) as there, closing(Door(there.url, "k", timeout_s=0.1)) as door, late:
        door.send("POST", "/a")


def test_where_nobody_answers_the_error_says_what_to_type(free_port: Callable[[], int]) -> None:
    nobody = Door(f"http://127.0.0.1:{free_port()}", "k", patience=QUICK)
    with closing(nobody), pytest.raises(NotReady, match=r"no hub answers at .*`forebay up` starts one here"):
        nobody.send("GET", "/a")


def test_an_answer_that_is_no_json_is_the_servers_fault() -> None:
    with talking(Reply(200, b"<html>")) as (door, _), pytest.raises(Broken, match="cannot read"):
        door.ask("GET", "/a", Project)


@given(
    tried=st.integers(1, 8),
    wish=st.none() | st.floats(0, 20),
    luck=st.floats(0, 1, exclude_max=True),
)
def test_no_pause_is_shorter_than_asked_for_or_longer_than_we_bear(
    tried: int, wish: float | None, luck: float
) -> None:
    patience = Patience()
    pause = patience.pause_s(tried, wish, luck)
    if pause is not None:
        assert (wish or 0) <= pause <= patience.longest_s
        assert tried < patience.tries

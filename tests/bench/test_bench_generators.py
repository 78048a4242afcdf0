from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.drivers import h2load, pace, wrk
from bench.drivers.running import run
from bench.words import Missing, Target, Wire

WRK = """\
Running 1s test @ http://127.0.0.1:9/
  1 threads and 16 connections
Requests/sec:   7936.02
bench: {"duration_us": 2000000, "answers": 1010, "refused": 10, "failed": 2, "p50_us": 1244, "p99_us": 6683}
"""
H2LOAD = """\
starting benchmark...
finished in 2.00s, 500.00 req/s, 12.34KB/s
requests: 1002 total, 1002 started, 1002 done, 1000 succeeded, 1 failed, 1 errored, 0 timeout
status codes: 1000 2xx, 0 3xx, 1 4xx, 0 5xx
traffic: 90.00KB (92160) total, 1.00KB (1024) headers (space savings 95.00%), 67.38KB (69000) data
time for request:      302us     20.07ms      1.21ms       900us    90.00%
"""
LOG = ["1\t200\t1000", "2\t200\t3000", "3\t200\t2000", "4\t-1\t900000"]
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
REFUSED = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"
CLOSED = b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}"

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed here")


def test_what_wrk_saw_is_read_and_refusals_are_no_answers() -> None:
    load = wrk.parse(WRK)
    assert (load.rate, load.requests, load.errors) == (500.0, 1000, 12)
    assert (load.p50_s, load.p99_s) == (0.001244, 0.006683)


def test_a_wrk_that_says_nothing_is_named() -> None:
    with pytest.raises(Missing, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:9 Connection refused")


def test_what_h2load_saw_is_read_with_its_log() -> None:
    load = h2load.parse(H2LOAD, LOG, answer_bytes=69)
    assert (load.rate, load.requests, load.errors) == (500.0, 1000, 2)
    assert (load.p50_s, load.p99_s) == pytest.approx((0.002, 0.00298))


def test_grpc_errors_count_as_errors_though_http_says_200() -> None:
    load = h2load.parse(H2LOAD, LOG, answer_bytes=100)
    assert (load.requests, load.errors) == (690, 312)


def test_a_generator_that_is_missing_is_named_with_what_to_do() -> None:
    with pytest.raises(Missing, match="no-such-generator is not installed; scripts/install-drivers"):
        run(["no-such-generator"], 1)


def test_a_raw_request_is_what_a_client_would_send(tmp_path: Path) -> None:
    request = pace.raw_request(target(tmp_path, 80))
    assert request == (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )


@needs_cc
@pytest.mark.parametrize("answer", [ANSWER, CHUNKED, CLOSED], ids=["plain", "chunked", "closing"])
def test_an_open_loop_sends_what_was_asked_for(tmp_path: Path, answer: bytes) -> None:
    with serving(answer) as port:
        load = pace.open_loop(target(tmp_path, port), 500.0, 4, 0.4, seed=1)
    assert load.errors == 0
    assert 140 < load.requests < 260
    assert load.offered == 500.0


@needs_cc
def test_the_same_seed_gives_the_same_arrivals(tmp_path: Path) -> None:
    with serving(ANSWER) as port:
        counts = {pace.open_loop(target(tmp_path, port), 900.0, 4, 0.2, seed=7).requests for _ in range(2)}
    assert len(counts) == 1


@needs_cc
def test_a_refusal_is_an_error(tmp_path: Path) -> None:
    with serving(REFUSED) as port:
        load = pace.open_loop(target(tmp_path, port), 200.0, 2, 0.3, seed=1)
    assert load.requests == 0
    assert load.errors > 20


@needs_cc
def test_who_should_have_asked_while_the_server_stalled_has_waited(tmp_path: Path) -> None:
    """With two connections a closed loop would have seen two slow answers, and left out all others."""
    with serving(ANSWER, stall_s=0.4, stall_after=30) as port:
        load = pace.open_loop(target(tmp_path, port), 200.0, 2, 0.6, seed=3)
    assert load.p99_s > 0.25


@needs_wrk
def test_wrk_sends_our_body_and_headers(tmp_path: Path) -> None:
    with serving(ANSWER) as port:
        load = wrk.closed_loop(target(tmp_path, port), 2, 1)
    assert load.errors == 0
    assert load.requests > 10


def target(folder: Path, port: int) -> Target:
    body = folder / "body"
    body.write_bytes(b"hello")
    return Target(port, "/predict", (("Content-Type", "text/plain"),), body, Wire.JSON)


@contextmanager
def serving(answer: bytes, stall_s: float = 0.0, stall_after: int = -1) -> Iterator[int]:
    """A server that gives one answer to everybody; once, all of it stalls."""
    listener = socket.create_server(("127.0.0.1", 0))
    lock, count = threading.Lock(), 0

    def converse(connection: socket.socket) -> None:
        nonlocal count
        with connection:
            while connection.recv(4096):
                with lock:
                    count += 1
                    if count == stall_after:
                        time.sleep(stall_s)
                connection.sendall(answer)
                if answer is CLOSED:
                    return

    def guarded(connection: socket.socket) -> None:
        try:
            converse(connection)
        except OSError:  # the generator has left
            return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed below
                return
            threading.Thread(target=guarded, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()

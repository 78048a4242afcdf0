"""Errors cross the wire without losing their kind or their sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.client.problems import error_from
from forebay.core import errors
from forebay.core.errors import Broken, Conflict, ForebayError, Full, Malformed, NotFound, Refused


@pytest.mark.parametrize("kind", [Conflict, NotFound, Full, errors.StorageFull, errors.Unauthenticated])
def test_an_error_of_the_hub_arrives_as_it_was_raised(kind: type[ForebayError]) -> None:
    body = f'{{"type": "urn:forebay:problem:{kind("").code}", "title": "x", "detail": "say this"}}'.encode()
    found = error_from(kind.status, body, {})
    assert type(found) is kind
    assert str(found) == "say this"


def test_an_error_of_the_plain_door_arrives_as_it_was_raised() -> None:
    found = error_from(400, b'{"error": {"code": "malformed", "message": "row 0 has 3 values"}}', {})
    assert isinstance(found, Malformed)
    assert str(found) == "row 0 has 3 values"


def test_an_error_of_the_open_inference_protocol_is_read_by_its_status() -> None:
    found = error_from(404, b'{"error": "no such model"}', {})
    assert isinstance(found, NotFound)
    assert str(found) == "no such model"


def test_the_time_to_wait_is_kept() -> None:
    assert error_from(429, b"", {"retry-after": "2"}).retry_after_s == 2.0
    assert error_from(429, b"", {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}).retry_after_s is None


def test_a_status_that_we_never_send_still_says_whose_fault_it_is() -> None:
    assert isinstance(error_from(418, b"", {}), Refused)
    assert isinstance(error_from(599, b"", {}), Broken)


@given(status=st.integers(400, 599), body=st.binary(max_size=200))
def test_whatever_a_proxy_sends_becomes_one_readable_error(status: int, body: bytes) -> None:
    assert str(error_from(status, body, {}))


@given(
    status=st.integers(400, 599),
    told=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "code", "detail"]), inner)
        ),
        max_leaves=8,
    ),
)
def test_any_json_at_all_becomes_one_readable_error(status: int, told: object) -> None:
    assert isinstance(error_from(status, json.dumps(told).encode(), {}), ForebayError)

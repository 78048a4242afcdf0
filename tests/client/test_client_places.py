"""Finding the hub and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from forebay.client import find_place
from forebay.core.errors import Malformed, NotReady, Unauthenticated

HUB = "http://127.0.0.1:18080"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home from which `up` runs."""
    (tmp_path / "up.json").write_text(
        f'{{"pid": 1, "hub_url": "{HUB}", "node_url": "http://127.0.0.1:18000"}}'
    )
    (tmp_path / "admin.key").write_text("fb-0a1b2c3d-secret\n")
    return tmp_path


def test_on_the_machine_of_up_nothing_has_to_be_said(home: Path) -> None:
    place = find_place(environ={"FOREBAY_HOME": str(home)})
    assert (place.url, place.key) == (HUB, "fb-0a1b2c3d-secret")
    assert place.secret == f"$(cat {home / 'admin.key'})"


def test_what_is_said_outright_wins_over_the_environment(home: Path) -> None:
    environ = {"FOREBAY_HOME": str(home), "FOREBAY_URL": "http://elsewhere:1", "FOREBAY_KEY": "fb-e-e"}
    assert find_place("http://here:2/", "fb-h-h", environ)[:2] == ("http://here:2", "fb-h-h")
    assert find_place(environ=environ)[:2] == ("http://elsewhere:1", "fb-e-e")


def test_the_administrators_key_is_never_shown_to_another_hub(home: Path) -> None:
    environ = {"FOREBAY_HOME": str(home), "FOREBAY_URL": "http://elsewhere.example:8080"}
    with pytest.raises(Unauthenticated, match=r"no key for http://elsewhere\.example:8080; set FOREBAY_KEY"):
        find_place(environ=environ)


def test_where_nothing_runs_the_error_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="start one with `forebay up`, or set FOREBAY_URL"):
        find_place(environ={"FOREBAY_HOME": str(tmp_path)})


def test_a_damaged_note_of_up_names_the_file(home: Path) -> None:
    (home / "up.json").write_text("{")
    with pytest.raises(Malformed, match=r"up\.json cannot be read"):
        find_place(environ={"FOREBAY_HOME": str(home)})


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://", "http://a b", "http://h/?q"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(Malformed, match="write it like http"):
        find_place(url, "fb-a-b", {})


@pytest.mark.parametrize("key", ["fb-a b", "fb-ä-x", "fb-a\nX-Evil: 1", " "])
def test_a_key_that_is_none_is_refused_before_anything_is_sent(key: str) -> None:
    with pytest.raises(Unauthenticated, match="that is no key"):
        find_place(HUB, key, {})

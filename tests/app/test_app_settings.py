"""Settings: read once, in words, and a misspelt one is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.app.settings import Settings, as_markdown, check_environment
from forebay.core.errors import Malformed

DOCS = Path(__file__).parents[2] / "docs"


def test_an_option_of_the_command_wins_over_the_environment() -> None:
    settings = Settings.load({"FOREBAY_PORT": "9000", "FOREBAY_HUB_PORT": "9001"}, port=9999, hub_port=None)
    assert (settings.port, settings.hub_port, settings.workers) == (9999, 9001, 1)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("FOREBAY_PROT", "1", "FOREBAY_PROT is no setting; did you mean FOREBAY_PORT"),
        ("FOREBAY_ZEBRA", "1", "FOREBAY_ZEBRA is no setting; there are FOREBAY_HOME, FOREBAY_URL"),
        ("FOREBAY_PORT", "http", "FOREBAY_PORT is 'http', but it has to be a whole number"),
        ("FOREBAY_PORT", "70000", "FOREBAY_PORT is 70000, but it has to be 0 to 65535"),
        ("FOREBAY_WORKERS", "0", "FOREBAY_WORKERS is 0, but it has to be at least 1"),
        ("FOREBAY_DRAIN_S", "soon", "FOREBAY_DRAIN_S is 'soon', but it has to be a number"),
        ("FOREBAY_DRAIN_S", "nan", "FOREBAY_DRAIN_S is nan, but it has to be at least 0"),
        ("FOREBAY_JOURNAL_SYNC", "perhaps", "FOREBAY_JOURNAL_SYNC is 'perhaps'; use true or false"),
        ("FOREBAY_LOG_LEVEL", "loud", "use debug, info, warning or error"),
    ],
)
def test_a_wrong_setting_is_an_error_that_says_what_is_right(name: str, value: str, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence.replace("(", r"\(")):
        Settings.load({name: value})


def test_other_programs_variables_are_none_of_our_business() -> None:
    check_environment({"PATH": "/bin", "forebay_port": "?", "FORE": ""})


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.load({"FOREBAY_PORT": ""}).port == 8000


@given(
    st.builds(
        Settings,
        port=st.integers(0, 65535),
        home=st.sampled_from([Path("/srv/forebay"), Path("a folder")]),
        journal_sync=st.booleans(),
        batch_wait_s=st.floats(0, 1e6),
        database_url=st.sampled_from(["", "postgresql+psycopg://ada@db/hub"]),
    )
)
def test_a_child_process_gets_the_very_same_settings(settings: Settings) -> None:
    assert Settings.load(settings.environment()) == settings


def test_the_home_is_absolute_and_the_database_lies_in_it() -> None:
    assert Settings(home=Path("~/x")).home == Path.home() / "x"
    assert Settings(home=Path("/srv/x")).database == "sqlite:////srv/x/hub.db"
    assert Settings(database_url="postgresql+psycopg://db/hub").database == "postgresql+psycopg://db/hub"


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "http://127.0.0.1:8080"), ("::", "http://[::1]:8080"), ("10.0.0.7", "http://10.0.0.7:8080")],
)
def test_the_address_of_the_hub_is_one_that_can_be_called(host: str, address: str) -> None:
    assert Settings(host=host).hub_url == address


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    shown = repr(Settings(key="fb-0a1b2c3d-secret", database_url="postgresql+psycopg://ada:lovelace@db/hub"))
    assert "secret" not in shown
    assert "lovelace" not in shown


def test_every_setting_is_documented_as_it_is() -> None:
    assert as_markdown() in DOCS.joinpath("settings.md").read_text()

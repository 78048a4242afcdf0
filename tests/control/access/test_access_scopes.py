"""What a key can be narrowed to, how it ends, and how it is exchanged for another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forebay.control.access import Access, KeyScope, Role, check_handing_on, check_power
from forebay.control.store import Database
from forebay.core import Bounds, Permission, Principal
from forebay.core.errors import Forbidden, Malformed, NotFound, NotReady, Unauthenticated

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(database: Database, clock: Clock) -> Access:
    return Access(database, clock)


def grants(database: Database, access: Access) -> set[str]:
    with database.read() as session:
        return {grant.key_id for grant in access.grants(session)}


def test_a_key_keeps_what_it_was_narrowed_to(access: Access) -> None:
    scope = KeyScope(("shop-*", "digits"), ("read",), ("api", "rows"), ("10.1.0.0/16", "2001:db8::/32"))
    record, secret = access.create_key("default", Role.DEVELOPER, "shop", scope)
    assert (record.models, record.actions) == (("digits", "shop-*"), ("read",))
    assert (record.protocols, record.networks) == (scope.protocols, scope.networks)
    who = access.identify(f"Bearer {secret}", "10.1.2.3")
    assert who.permissions == {Permission.READ}
    assert who.bounds == Bounds(("digits", "shop-*"), scope.protocols, scope.networks)
    assert who.may_use("shop-prices")
    assert not who.may_use("prices")


@pytest.mark.parametrize("address", ["10.2.0.1", "", "192.0.2.1", "2001:db9::1", "not an address"])
def test_a_key_from_another_network_is_refused(access: Access, address: str) -> None:
    scope = KeyScope(networks=("10.1.0.0/16", "2001:db8::/32"))
    _, secret = access.create_key("default", Role.DEVELOPER, scope=scope)
    for near in ("10.1.255.255", "::ffff:10.1.0.1", "2001:db8::7"):
        assert access.identify(f"Bearer {secret}", near).project == "default"
    with pytest.raises(Forbidden, match="may not be used from"):
        access.identify(f"Bearer {secret}", address)


def test_a_key_for_predictions_only_is_refused_by_the_hub(access: Access) -> None:
    _, secret = access.create_key("default", Role.INFERENCE, scope=KeyScope(protocols=("oip",)))
    with pytest.raises(Forbidden, match="for the protocols oip and not for api"):
        access.identify(f"Bearer {secret}")


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (KeyScope(models=()), "`models` is empty"),
        (KeyScope(models=("My Model",)), "no model name"),
        (KeyScope(models=("a[b]",)), "no pattern"),
        (KeyScope(actions=("deploy",)), "role inference has no action 'deploy'; it has predict"),
        (KeyScope(protocols=("http",)), "no protocol 'http'; there are api"),
        (KeyScope(networks=("10.0.0.1/8",)), "is no network"),
        (KeyScope(networks=("here",)), "is no network"),
        (KeyScope(networks=tuple(f"10.0.0.{n}" for n in range(201))), "at most 200"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(access: Access, scope: KeyScope, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        access.create_key("default", Role.INFERENCE, scope=scope)


def test_a_key_ends_at_its_moment(database: Database, access: Access, clock: Clock) -> None:
    ends = clock.now + timedelta(hours=1)
    record, secret = access.create_key("default", Role.INFERENCE, expires_at=ends)
    assert record.expires_at == ends
    assert record.id in grants(database, access)
    assert access.identify(f"Bearer {secret}").bounds == Bounds(until_s=ends.timestamp())
    clock.pass_by(hours=1)
    with pytest.raises(Unauthenticated, match="expired"):
        access.identify(f"Bearer {secret}")
    assert access.keys("default") == []
    assert grants(database, access) == set()
    with pytest.raises(NotFound):
        access.rotate_key("default", record.id, timedelta())
    with pytest.raises(Malformed, match="has passed"):
        access.create_key("default", Role.INFERENCE, expires_at=clock.now)


def test_the_old_secret_is_good_for_as_long_as_was_said(
    database: Database, access: Access, clock: Clock
) -> None:
    record, old = access.create_key("default", Role.INFERENCE, "shop")
    rotated, new = access.rotate_key("default", record.id, timedelta(hours=2))
    assert (rotated.id, rotated.name, rotated.rotated_at) == (record.id, "shop", clock.now)
    assert new != old
    with database.read() as session:
        ends = {grant.bounds for grant in access.grants(session)}
    assert ends == {None, Bounds(until_s=(clock.now + timedelta(hours=2)).timestamp())}
    assert {access.identify(f"Bearer {secret}").key_id for secret in (old, new)} == {record.id}
    clock.pass_by(hours=2)
    with pytest.raises(Unauthenticated):
        access.identify(f"Bearer {old}")
    assert access.identify(f"Bearer {new}").key_id == record.id


def test_a_second_rotation_leaves_no_old_secret_longer_than_it_says(access: Access, clock: Clock) -> None:
    record, first = access.create_key("default", Role.INFERENCE)
    _, second = access.rotate_key("default", record.id, timedelta(hours=2))
    _, third = access.rotate_key("default", record.id, timedelta())
    for secret in (first, second):
        with pytest.raises(Unauthenticated):
            access.identify(f"Bearer {secret}")
    assert access.identify(f"Bearer {third}").key_id == record.id
    access.revoke_key("default", record.id)
    with pytest.raises(Unauthenticated):
        access.identify(f"Bearer {third}")


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=91)])
def test_an_overlap_has_an_end(access: Access, overlap: timedelta) -> None:
    record, _ = access.create_key("default", Role.INFERENCE)
    with pytest.raises(Malformed, match="90 days"):
        access.rotate_key("default", record.id, overlap)


def test_a_key_file_with_a_secret_that_was_rotated_out_is_written_anew(
    access: Access, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "admin.key"
    key_id = access.ensure_key_file(path, Role.OPERATOR)
    access.rotate_key("default", key_id, timedelta(hours=1))
    assert access.ensure_key_file(path, Role.OPERATOR) == key_id
    clock.pass_by(hours=1)
    access.ensure_key_file(path, Role.OPERATOR)
    assert access.identify(f"Bearer {path.read_text()}").permissions == frozenset(Permission)


def test_a_key_tells_when_it_was_last_used(access: Access, clock: Clock) -> None:
    record, secret = access.create_key("default", Role.DEVELOPER)
    assert record.used_at is None
    access.identify(f"Bearer {secret}")
    assert access.key("default", record.id).used_at == clock.now
    later = clock.now + timedelta(minutes=5)
    access.note_used({record.id: later.timestamp(), "nobody": 1.0})  # a clock that is ahead is not believed
    assert access.key("default", record.id).used_at == clock.now
    clock.pass_by(minutes=5)
    access.note_used({record.id: clock.now.timestamp()})
    assert access.key("default", record.id).used_at == later
    access.write_last_use()
    other = Access(access._database, clock)
    assert other.key("default", record.id).used_at == later
    other.note_used({record.id: NOON.timestamp()})
    other.write_last_use()
    assert [key.used_at for key in access.keys("default")] == [later]


def test_what_cannot_be_written_of_a_key_s_use_waits(
    access: Access, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, secret = access.create_key("default", Role.DEVELOPER)
    access.identify(f"Bearer {secret}")
    with monkeypatch.context() as patched:
        patched.setattr(access._database, "write", _away)  # the real ones are in the hub's tests
        access.identify(f"Bearer {secret}")
        with pytest.raises(NotReady):
            access.write_last_use()
    access.write_last_use()
    assert Access(access._database, clock).key("default", record.id).used_at == clock.now


def _away() -> None:
    raise NotReady("the database is locked or away; try again")


HOLDER = Principal(
    "k", "default", frozenset({Permission.PREDICT}), Bounds(("a-*", "b"), ("oip",), ("10.0.0.0/8",), 2e9)
)
ENDS = datetime.fromtimestamp(2e9, UTC)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models": None}, "for the models a-\\*, b only"),
        ({"models": ("*",)}, "for the models"),
        ({"models": ("b-*",)}, "for the models"),
        ({"protocols": None}, "for the protocols oip"),
        ({"protocols": ("oip", "rows")}, "for the protocols oip"),
        ({"networks": None}, "for the networks"),
        ({"networks": ("10.0.0.0/7",)}, "for the networks"),
        ({"networks": ("2001:db8::/32",)}, "for the networks"),
    ],
)
def test_nobody_hands_on_more_than_they_have(change: dict[str, tuple[str, ...] | None], said: str) -> None:
    scope = {"models": ("a-x*", "b"), "protocols": ("oip",), "networks": ("10.1.0.0/16",)}
    check_handing_on(HOLDER, Role.INFERENCE, KeyScope(**scope), ENDS)
    with pytest.raises(Forbidden, match=said):
        check_handing_on(HOLDER, Role.INFERENCE, KeyScope(**{**scope, **change}), ENDS)


def test_nobody_makes_a_key_that_outlives_their_own() -> None:
    scope = KeyScope(("b",), None, ("oip",), ("10.0.0.1/32",))
    for ends in (None, ENDS + timedelta(seconds=1)):
        with pytest.raises(Forbidden, match="ends before"):
            check_handing_on(HOLDER, Role.INFERENCE, scope, ends)
    check_power(HOLDER, Role.INFERENCE, scope)  # but may end one that would


def test_a_key_of_a_strong_role_may_be_handed_on_with_few_actions() -> None:
    check_power(HOLDER, Role.DEVELOPER, KeyScope(models=("b",), actions=("predict",)))
    with pytest.raises(Forbidden, match="may deploy"):
        check_power(HOLDER, Role.DEVELOPER, KeyScope(models=("b",)))

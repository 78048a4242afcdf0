"""What a model keeps, in the database: set, guarded by aliases, overridden, written down."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError

from forebay.control.access import Audit
from forebay.control.hub.promises import promised
from forebay.control.registry import Gate, Keeps, Override, Registry, VersionRecord
from forebay.control.store import AuditRow, Blobs, Database, Deed, record_deed
from forebay.core import Manifest
from forebay.core.errors import Conflict, Malformed, NotFound
from support.artifacts import INFO, put_artifact, put_file, register
from support.evidence import DATA, HERE, OTHER_DATA, finding, proof_of

HALF_A_POINT = promised("accuracy>=-0.5")
A_POINT = promised("accuracy>=-1")
OPEN = Gate({"n1": HERE})
WHY = Override("0a1b2c3d", "for the fair on Saturday")
DIGITS = ("default", "digits")


@pytest.fixture
def keeps(database: Database) -> Keeps:
    return Keeps(database)


@pytest.fixture
def audit(database: Database) -> Audit:
    return Audit(database)


@pytest.fixture
def original(registry: Registry, blobs: Blobs) -> VersionRecord:
    """Version 1 of `digits`."""
    return register(registry, blobs, job="original")


@pytest.fixture
def add(registry: Registry, blobs: Blobs, original: VersionRecord) -> Any:
    """Register a further version, with the evidence of a compression."""

    def further(job: str, *findings: dict[str, Any], **more: Any) -> int:
        proof = proof_of(original, job.encode(), *findings, **more)
        return register(registry, blobs, job=job, evidence=[proof]).version

    return further


def test_a_model_keeps_nothing_until_somebody_says_what(keeps: Keeps, original: VersionRecord) -> None:
    with pytest.raises(NotFound, match="'digits' keeps nothing yet"):
        keeps.get(*DIGITS)
    with pytest.raises(NotFound, match="no model 'digit'"):
        keeps.get("default", "digit")
    kept = keeps.put(*DIGITS, HALF_A_POINT, "0a1b2c3d")
    assert keeps.get(*DIGITS) == kept
    assert (kept.promises, kept.data, kept.reference, kept.set_by) == (HALF_A_POINT, "", 1, "0a1b2c3d")


def test_it_is_relative_to_the_newest_version_that_no_compression_made(
    keeps: Keeps, add: Any, registry: Registry, blobs: Blobs
) -> None:
    assert register(registry, blobs, job="trained anew").version == 2
    assert add("small") == 3
    assert keeps.put(*DIGITS, HALF_A_POINT, "k").reference == 2


def test_where_every_version_is_compressed_the_original_has_to_be_named(
    keeps: Keeps, add: Any, registry: Registry
) -> None:
    small = add("small")
    registry.retire(*DIGITS, 1)
    with pytest.raises(Conflict, match="no active version of 'digits' is an original"):
        keeps.put(*DIGITS, HALF_A_POINT, "k")
    assert keeps.put(*DIGITS, HALF_A_POINT, "k", reference=small).reference == small


def test_once_set_only_an_override_changes_it(keeps: Keeps, original: VersionRecord, audit: Audit) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    with pytest.raises(Conflict, match=r"keeps accuracy>=-0.5 against version 1 already, and was to keep"):
        keeps.put(*DIGITS, A_POINT, "k")
    assert keeps.get(*DIGITS).promises == HALF_A_POINT
    keeps.put(*DIGITS, A_POINT, "k", override=WHY)
    assert keeps.get(*DIGITS).promises == A_POINT
    changed, first = audit.entries("default")
    assert (first.action, first.subject, first.detail["keep"]) == ("keep.set", "digits", "accuracy>=-0.5")
    assert (changed.action, changed.who) == ("keep.changed", "0a1b2c3d")
    assert changed.detail["reason"] == "for the fair on Saturday"
    assert "was to keep accuracy>=-1" in changed.detail["refusal"]


def test_setting_the_same_again_changes_nothing(keeps: Keeps, original: VersionRecord, audit: Audit) -> None:
    kept = keeps.put(*DIGITS, HALF_A_POINT, "k", data=DATA)
    assert keeps.put(*DIGITS, HALF_A_POINT, "another") == kept
    assert len(audit.entries("default")) == 1


def test_the_data_may_be_named_later_and_is_not_changed_after(keeps: Keeps, original: VersionRecord) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    assert keeps.put(*DIGITS, HALF_A_POINT, "k", data=DATA).data == DATA
    with pytest.raises(Conflict, match="on the data eeeeeeeeeeee"):
        keeps.put(*DIGITS, HALF_A_POINT, "k", data=OTHER_DATA)


def test_an_override_needs_a_reason() -> None:
    for reason in ("", "  ", "x" * 501):
        with pytest.raises(Malformed, match="needs a reason"):
            Override("k", reason)


def test_only_a_model_that_keeps_something_has_protected_aliases(
    registry: Registry, original: VersionRecord
) -> None:
    with pytest.raises(Conflict, match=r"keeps no promise that 'champion' could be protected by"):
        registry.set_alias(*DIGITS, "champion", 1, protected=True)
    assert registry.aliases(*DIGITS) == []


def test_a_protected_alias_moves_to_what_is_proved_and_to_nothing_else(
    registry: Registry, keeps: Keeps, add: Any
) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k", data=DATA)
    registry.set_alias(*DIGITS, "champion", 1, protected=True, gate=OPEN)
    good, harmful = add("good"), add("harmful", finding(change=-0.8))
    told = r"the alias 'champion' refuses version 3 of 'digits': accuracy lost 0\.8 points, 0\.5 are allowed"
    with pytest.raises(Conflict, match=told):
        registry.set_alias(*DIGITS, "champion", harmful, gate=OPEN)
    with pytest.raises(Conflict, match="no node has said yet"):
        registry.set_alias(*DIGITS, "champion", good)
    moved = registry.set_alias(*DIGITS, "champion", good, gate=OPEN)
    assert (moved.version, moved.protected) == (good, True)
    registry.set_alias(*DIGITS, "experiment", harmful)  # nobody guards that one


def test_an_alias_is_not_protected_where_it_stands_without_proof(
    registry: Registry, keeps: Keeps, add: Any
) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    registry.set_alias(*DIGITS, "champion", add("harmful", finding(change=-0.8)))
    with pytest.raises(Conflict, match=r"accuracy lost 0\.8 points"):
        registry.set_alias(*DIGITS, "champion", 2, protected=True, gate=OPEN)
    assert not registry.aliases(*DIGITS)[0].protected


def test_an_override_is_written_down_with_the_figure_and_the_reason(
    registry: Registry, keeps: Keeps, add: Any, audit: Audit
) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    registry.set_alias(*DIGITS, "champion", 1, protected=True, gate=OPEN)
    harmful = add("harmful", finding(change=-0.8))
    registry.set_alias(*DIGITS, "champion", harmful, gate=Gate(OPEN.nodes, WHY))
    [entry, _] = audit.entries("default")
    assert (entry.action, entry.subject, entry.who) == ("gate.overridden", "digits:2", "0a1b2c3d")
    assert entry.detail["reason"] == "for the fair on Saturday"
    assert "accuracy lost 0.8 points, 0.5 are allowed" in entry.detail["refusal"]


def test_an_override_of_what_passes_anyway_is_nothing_to_write_down(
    registry: Registry, keeps: Keeps, add: Any, audit: Audit
) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    registry.set_alias(*DIGITS, "champion", add("good"), protected=True, gate=Gate(OPEN.nodes, WHY))
    assert [entry.action for entry in audit.entries("default")] == ["keep.set"]


def test_a_protection_is_taken_away_by_an_override_only(
    registry: Registry, keeps: Keeps, original: VersionRecord, audit: Audit
) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    registry.set_alias(*DIGITS, "champion", 1, protected=True, gate=OPEN)
    with pytest.raises(Conflict, match="the alias 'champion' is protected"):
        registry.set_alias(*DIGITS, "champion", 1, protected=False)
    with pytest.raises(Conflict, match="the alias 'champion' is protected"):
        registry.remove_alias(*DIGITS, "champion")
    with pytest.raises(Conflict, match="guards the protected alias 'champion'"):
        keeps.clear(*DIGITS, WHY)
    assert not registry.set_alias(*DIGITS, "champion", 1, protected=False, gate=Gate({}, WHY)).protected
    keeps.clear(*DIGITS, WHY)
    registry.remove_alias(*DIGITS, "champion")
    actions = [entry.action for entry in audit.entries("default")]
    assert actions == ["keep.cleared", "alias.unprotected", "keep.set"]


def test_the_first_proof_says_on_which_data_all_others_are_proved(
    registry: Registry, keeps: Keeps, add: Any
) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    registry.set_alias(*DIGITS, "champion", 1, protected=True, gate=OPEN)
    assert keeps.get(*DIGITS).data == ""  # the original proves nothing
    registry.set_alias(*DIGITS, "champion", add("first"), gate=OPEN)
    assert keeps.get(*DIGITS).data == DATA
    with pytest.raises(Conflict, match=r"measured on other data \(eeeeeeeeeeee\)"):
        registry.set_alias(*DIGITS, "champion", add("second", data_digest=OTHER_DATA), gate=OPEN)


def test_an_override_proves_nothing_and_says_no_data(registry: Registry, keeps: Keeps, add: Any) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    harmful = add("harmful", finding(change=-0.8))
    registry.set_alias(*DIGITS, "champion", harmful, protected=True, gate=Gate(OPEN.nodes, WHY))
    assert keeps.get(*DIGITS).data == ""


def test_the_original_of_a_promise_is_not_retired(
    registry: Registry, keeps: Keeps, original: VersionRecord
) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    with pytest.raises(Conflict, match="the promise of 'digits', which is relative to it"):
        registry.retire(*DIGITS, 1)


def test_a_report_beside_the_model_is_no_other_model(
    registry: Registry, keeps: Keeps, blobs: Blobs, original: VersionRecord
) -> None:
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    bare = put_artifact(blobs, b"small")
    whole = Manifest((*bare.files, put_file(blobs, "report.html", b"<html>")))
    proof = proof_of(original, b"small")
    registry.register_version(*DIGITS, whole, INFO, "", {}, [proof], job_id="small")
    assert registry.set_alias(*DIGITS, "champion", 2, protected=True, gate=OPEN).version == 2


def test_what_is_kept_and_what_moves_at_once_agree(registry: Registry, keeps: Keeps, add: Any) -> None:
    """Whoever comes first, no protected alias names a version that was refused."""
    keeps.put(*DIGITS, HALF_A_POINT, "k")
    registry.set_alias(*DIGITS, "champion", 1, protected=True, gate=OPEN)
    versions = [add(f"good {n}") if n % 2 else add(f"bad {n}", finding(change=-9.0)) for n in range(6)]

    def move(version: int) -> str:
        try:
            registry.set_alias(*DIGITS, "champion", version, gate=OPEN)
        except Conflict:
            return "refused"
        return "moved"

    with ThreadPoolExecutor(6) as pool:
        ends = list(pool.map(move, versions))
    assert ends == ["refused", "moved"] * 3
    assert registry.aliases(*DIGITS)[0].version in versions[1::2]


def test_the_audit_is_read_from_the_newest_on(database: Database, audit: Audit) -> None:
    with database.write() as session:
        for number in range(5):
            project = "lab" if number % 2 else "default"
            record_deed(session, Deed(project, "k", "thing.done", f"thing {number}"))
    assert [entry.subject for entry in audit.entries("default")] == ["thing 4", "thing 2", "thing 0"]
    assert [entry.subject for entry in audit.entries(None, limit=2)] == ["thing 4", "thing 3"]
    last = audit.entries(None, limit=2)[-1].number
    assert [entry.subject for entry in audit.entries(None, before=last)] == ["thing 2", "thing 1", "thing 0"]


def test_a_deed_that_failed_is_not_written_down(database: Database, audit: Audit) -> None:
    def do() -> None:
        with database.write() as session:
            record_deed(session, Deed("default", "k", "thing.done", "it"))
            raise Conflict("it is in use")

    with pytest.raises(Conflict):
        do()
    assert audit.entries(None) == []


@pytest.mark.parametrize("change", [update(AuditRow).values(who="me"), delete(AuditRow)])
def test_nobody_rewrites_the_audit(database: Database, audit: Audit, change: Any) -> None:
    with database.write() as session:
        record_deed(session, Deed("default", "k", "thing.done", "it"))
    with pytest.raises(DBAPIError, match="audit is only appended to"), database.write() as session:
        session.execute(change)
    assert len(audit.entries(None)) == 1


def test_nobody_empties_the_audit_at_once(database: Database) -> None:
    if database.sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    with pytest.raises(DBAPIError, match="audit is only appended to"), database.write() as session:
        session.execute(text("TRUNCATE audit"))

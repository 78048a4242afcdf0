"""Asking the gate inside a transaction, and what becomes of its refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy.orm import Session

from forebay.control.registry.gate import Candidate, Rule, judge, proved_on
from forebay.control.registry.proof import Promised
from forebay.control.registry.rows import version_record
from forebay.control.registry.tables import KeepRow, VersionRow
from forebay.control.store import Deed, record_deed
from forebay.core import REPORT_NAME, MachineKind, Manifest
from forebay.core.errors import Conflict, Malformed

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody who may, and why they do; raises `Malformed` without a reason."""

    key_id: str
    reason: str

    def __post_init__(self) -> None:
        """Refuse a reason that is none."""
        if not self.reason.strip() or len(self.reason) > _LONGEST:
            raise Malformed(
                f"an override needs a reason of 1 to {_LONGEST} characters, for whoever reads the audit"
            )


@dataclass(frozen=True, slots=True)
class Gate:
    """What a request brings to the gate: who will serve, by name, and an override if it has one."""

    nodes: Mapping[str, MachineKind | None] = field(default_factory=dict)
    override: Override | None = None


def pass_gate(session: Session, version: VersionRow, gate: Gate, to: str) -> None:
    """Let *version* through to what *to* names, as in `the alias 'champion'`; the model's row is held.

    The first proof of a promise without data says which data it is proved on from then on. Raises
    `Conflict` with the gate's sentence; with an override, that is written down instead.
    """
    keep = session.get(KeepRow, (version.project, version.model))
    if keep is None:
        return
    candidate, rule = candidate_of(version), rule_of(session, keep)
    refusal = judge(candidate, rule, gate.nodes)
    if refusal is None:
        keep.data = keep.data or proved_on(candidate, rule, gate.nodes)
        return
    refuse(
        session,
        version.project,
        f"{to} refuses version {version.version} of {version.model!r}: {refusal}",
        f"{version.model}:{version.version}",
        "gate.overridden",
        gate.override,
    )


def refuse(
    session: Session, project: str, sentence: str, subject: str, action: str, override: Override | None
) -> None:
    """Raise `Conflict` with *sentence*, or write down that somebody did it all the same."""
    if override is None:
        raise Conflict(
            f"{sentence} (with the permission `override` and a reason it can be done all the same)"
        )
    detail = {"refusal": sentence, "reason": override.reason}
    record_deed(session, Deed(project, override.key_id, action, subject, detail))


def unproved(session: Session, version: VersionRow, keep: KeepRow, gate: Gate) -> str | None:
    """Why *version*, which is served already, would not pass now; None if it would."""
    return judge(candidate_of(version), rule_of(session, keep), gate.nodes)


def candidate_of(version: VersionRow) -> Candidate:
    """What the gate looks at of a version."""
    record = version_record(version, ())
    return Candidate(digests_of(record.manifest), record.info.backend, record.evidence)


def rule_of(session: Session, keep: KeepRow) -> Rule:
    """What the gate holds a version against."""
    original = session.get_one(VersionRow, (keep.project, keep.model, keep.reference))
    sources = digests_of(Manifest.decode(original.manifest.encode()))
    promises = msgspec.json.decode(keep.promises, type=tuple[Promised, ...])
    return Rule(promises, keep.data, f"version {keep.reference}", sources)


def digests_of(manifest: Manifest) -> frozenset[str]:
    """The digest of all its files, and that of those that compute: a report may lie beside them or not."""
    computing = Manifest(tuple(entry for entry in manifest.files if entry.path != REPORT_NAME))
    return frozenset({manifest.digest, computing.digest})

"""Whether a version may pass where a model's promise is guarded: one pure function over what was measured.

    no evidence, or none that can be read                refused
    evidence that this hub did not measure itself        refused
    evidence of other bytes, another original, data      refused
    a promise without a figure, unproven or broken       refused, and the figure is named
    a node of another kind than the machine              refused, and the difference is named

The original that the promise is relative to passes: it loses nothing against itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from forebay.control.registry.proof import Promised, Proof, refusal_of
from forebay.core import MachineKind

KIND = "compression"
CLAIMED = "claimed_in"
"""What marks evidence that came along with an artifact: the job that published it. A hub puts it there."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is promised, on which *data* (empty: any), against the *original* with the digests *sources*."""

    promises: tuple[Promised, ...]
    data: str
    original: str
    sources: frozenset[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is to pass: the digests of its bytes, its backend, and its evidence as plain JSON."""

    digests: frozenset[str]
    backend: str
    evidence: Sequence[Mapping[str, Any]]

    @property
    def measured(self) -> list[Mapping[str, Any]]:
        """What was measured about losses; the last is the latest."""
        return [entry for entry in self.evidence if entry.get("kind") == KIND]


def judge(candidate: Candidate, rule: Rule, nodes: Mapping[str, MachineKind | None]) -> str | None:
    """Why *candidate* may not pass, in half a sentence; None if it may.

    *nodes* are those that will serve it, by name, with what each said of its machine. One entry of
    evidence that proves everything is enough; otherwise the latest is spoken of.
    """
    if candidate.digests & rule.sources:
        return None
    refusal = _nothing_measured(rule)
    for entry in candidate.measured:
        found = _weighed(entry, candidate, rule, nodes)
        if isinstance(found, Proof):
            return None
        refusal = found
    return refusal


def proved_on(candidate: Candidate, rule: Rule, nodes: Mapping[str, MachineKind | None]) -> str:
    """The digest of the data on which *candidate* is proved; empty if it is not."""
    found = (_weighed(entry, candidate, rule, nodes) for entry in candidate.measured)
    return next((proof.data_digest for proof in found if isinstance(proof, Proof)), "")


def _weighed(
    entry: Mapping[str, Any], candidate: Candidate, rule: Rule, nodes: Mapping[str, MachineKind | None]
) -> Proof | str:
    """The proof that *entry* is, or why it is none."""
    if entry.get(CLAIMED):
        return (
            f"its evidence came along when it was published ({entry[CLAIMED]}) and was not measured by this "
            "hub; compress it here"
        )
    try:
        proof = msgspec.convert(dict(entry), Proof)
    except msgspec.ValidationError as error:
        return f"its evidence cannot be read: {error}"
    return (
        _of_something_else(proof, candidate, rule)
        or refusal_of(proof, rule.promises)
        or _elsewhere(proof.machine, candidate.backend, nodes)
        or proof
    )


def _nothing_measured(rule: Rule) -> str:
    promises = ", ".join(promise.text for promise in rule.promises)
    return f"it has no evidence of what it lost against {rule.original}, and {promises} is to be kept"


def _of_something_else(proof: Proof, candidate: Candidate, rule: Rule) -> str:
    if proof.digest not in candidate.digests:
        return f"its evidence is of other bytes ({_short(proof.digest)}) than its own"
    if proof.source_digest not in rule.sources:
        return (
            f"its loss was measured against another original ({_short(proof.source_digest)}) "
            f"and not against {rule.original}"
        )
    if rule.data and proof.data_digest != rule.data:
        return (
            f"it was measured on other data ({_short(proof.data_digest)}) than those that the promise is to "
            f"be proved on ({_short(rule.data)})"
        )
    return ""


def _elsewhere(measured: MachineKind, backend: str, nodes: Mapping[str, MachineKind | None]) -> str:
    """Which node is of another kind, and how. Without any node there is nothing that it was proved for."""
    if not nodes:
        return "no node has said yet what kind of machine it is; start the nodes first"
    for name, kind in sorted(nodes.items()):
        if kind is None:
            return f"the node {name!r} does not say what kind of machine it is; bring it up to this release"
        if unlike := kind.unlike(measured, backend):
            return (
                f"it was measured on another kind of machine than the node {name!r}, which {unlike}; "
                "compress it again where it is to run"
            )
    return ""


def _short(digest: str) -> str:
    return digest[:12] or "none"

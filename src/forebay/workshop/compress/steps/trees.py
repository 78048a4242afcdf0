"""Fewer trees: those of an ensemble that matter most, in the order in which they matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.steps.ensemble import Ensemble, ensemble_in, rows_read

_ROWS = 256


def fewer_trees(share: float) -> Callable[[Draft, Bench], Draft]:
    """Keep the *share* of the trees whose sum stays nearest to that of all of them.

    Trees are ranked by how much the ensemble's sum over the tuning rows goes along with theirs, and what is
    left is scaled so that its sum spreads as before: a forest's mean stays a mean, and a booster's sum keeps
    its size.
    """

    def make(draft: Draft, bench: Bench) -> Draft:
        proto = draft.proto()
        ensemble = ensemble_in(proto, bench)
        kept = max(1, round(ensemble.count * share))
        if kept >= ensemble.count:
            raise Unsupported(f"it has {ensemble.count} trees, of which none can go")
        votes = ensemble.votes(rows_read(draft, ensemble.node.input[0], bench, _ROWS))
        _keep(ensemble, _ranked(votes)[:kept], votes)
        return draft.with_proto(proto)

    return make


def _ranked(votes: Array) -> Array:
    """Tree numbers, the one that goes along most with the whole first; *votes* is [trees, rows, outputs]."""
    centred = votes - votes.mean(axis=1, keepdims=True)
    whole = centred.sum(axis=0)
    return np.argsort(-np.einsum("tro,ro->t", centred, whole), kind="stable")


def _keep(ensemble: Ensemble, chosen: Array, votes: Array) -> None:
    """Only the trees with these numbers, scaled to the spread of all of them."""
    prefix = ensemble.prefix
    trees = set(ensemble.trees[chosen].tolist())
    whole, part = votes.sum(axis=0), votes[chosen].sum(axis=0)
    scale = _slope(part, whole)
    shift = (whole - scale * part).mean(axis=0)
    for stem in ("nodes", prefix):
        mask = [tree in trees for tree in ensemble.about[f"{stem}_treeids"]]
        for attribute in ensemble.node.attribute:
            if attribute.name.startswith(f"{stem}_") and attribute.name != "class_labels":
                _filter(attribute, mask, scale if attribute.name == f"{prefix}_weights" else 1.0)
    _add_base(ensemble, shift)


def _add_base(ensemble: Ensemble, shift: Array) -> None:
    """A booster's removed trees have a mean too; it becomes part of the base."""
    import onnx  # noqa: PLC0415 (heavy)

    base = np.array(ensemble.about.get("base_values") or [0.0] * len(shift), dtype=np.float64)
    if len(base) != len(shift):
        return  # a binary classifier with one column of votes and a base of its own form
    node = ensemble.node
    kept = [each for each in node.attribute if each.name != "base_values"]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.append(onnx.helper.make_attribute("base_values", [float(v) for v in base + shift]))


def _slope(part: Array, whole: Array) -> float:
    part, whole = part - part.mean(axis=0), whole - whole.mean(axis=0)
    return float(np.sum(part * whole) / max(float(np.sum(part * part)), 1e-12))


def _filter(attribute: Any, mask: list[bool], scale: float) -> None:
    for field in (attribute.floats, attribute.ints, attribute.strings):
        if len(field) == len(mask):
            kept = [
                value * scale if scale != 1.0 else value
                for value, keep in zip(field, mask, strict=True)
                if keep
            ]
            del field[:]
            field.extend(kept)

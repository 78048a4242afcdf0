"""An ONNX graph that exists already, made ready to be served: names, labels, free batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Array, ArtifactInfo, Signature, Tensors
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.onnx_batch import fixed_batch, is_local, loosened, tidy
from forebay.workshop.convert.onnx_labels import metadata_of, name_outputs, unzip
from forebay.workshop.convert.running import opened
from forebay.workshop.convert.sources.freeing import Ask, Candidate, Files, freed, in_portions
from forebay.workshop.convert.sources.tensor_draft import Served, Told, tensor_draft

_UNKNOWN = ArtifactInfo(Signature((), ()))


@dataclass(frozen=True, slots=True)
class Original:
    """A graph as its owner has it, and who answers for it."""

    origin: str
    proto: Any
    ask: Callable[[Tensors], list[Any]]
    """What the original answers to the inputs by name, its outputs in the graph's order."""
    evidence: dict[str, Any]


def graph_draft(original: Original, given: Given) -> Draft:
    """The graph as it will be served, with everything freed that the graph itself lets go."""
    proto = type(original.proto)()
    proto.CopyFrom(original.proto)
    tidy(proto)
    classes = unzip(proto)
    task = name_outputs(proto, classes)
    fixed = _signature_of(proto)
    found = freed(_files(proto), _UNKNOWN, fixed, _candidates(proto))
    served = Served(found.files, _UNKNOWN, fixed, _asker(original, fixed, classes), classes, found.free)
    told = Told(original.origin, task, metadata_of(original.proto), original.evidence)
    return tensor_draft(served, told, given)


def _files(proto: Any) -> Files:
    return {_UNKNOWN.model: proto.SerializeToString(deterministic=True)}


def _candidates(proto: Any) -> Iterator[Candidate]:
    """The graph with a free batch and free image sizes, then with a free batch, as far as it can be so."""
    if not fixed_batch(proto):
        return
    for image in (True, False) if is_local(proto) else (False,):
        free = loosened(proto, image=image)
        if free is not None:
            yield Candidate(_files(free), ("batch", "height", "width") if image else ("batch",))


def _plain(value: Any, classes: tuple[str, ...]) -> Array:
    """An output as a tensor: a `ZipMap` gives a dictionary a row."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        by_name = [{str(key): share for key, share in row.items()} for row in value]
        return np.array([[row[name] for name in classes] for row in by_name], dtype=np.float32)
    return np.asarray(value)


def _signature_of(proto: Any) -> Signature:
    with opened(_files(proto), _UNKNOWN) as backend:
        return backend.signature


def _asker(original: Original, fixed: Signature, classes: tuple[str, ...]) -> Ask:
    """Ask the original, in portions of its own batch, for answers under the names of *fixed*."""

    def once(tensors: Tensors) -> Tensors:
        answers = original.ask(tensors)
        return {spec.name: _plain(value, classes) for spec, value in zip(fixed.outputs, answers, strict=True)}

    return in_portions(once, fixed)

"""The contract of a source: a framework, or a format on disk, that models come from.

A source is one file in `sources/` and one line in the table of `sources/__init__.py`. It recognises its
models without importing anything heavy, and makes a `Draft` of one: the files a node would load, and the
function that asks the original. `proof.prove` does the rest, the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from forebay.core import ArtifactInfo, Tensors
from forebay.workshop.convert.edges import Edge
from forebay.workshop.convert.sample import tell_row


@dataclass(frozen=True, slots=True)
class Given:
    """What the owner hands over beside the model; a source that needs more adds a field with a default."""

    sample: Any = None
    """Rows as the model's own `predict` takes them, or None."""
    columns: Sequence[str] | None = None
    """Names for the columns of a matrix."""
    labels: Sequence[str] | None = None
    """Names for the classes, in the order of the model's probabilities."""
    requirements: Sequence[str] | None = None
    """The packages that the owner's code needs, beside those that it is seen to import."""
    into: Any = None
    """The network that weights on disk belong to: a PyTorch module, or a class that makes one."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A candidate for an artifact, which still has to answer like its original."""

    origin: str
    """What it was made of, for people: `scikit-learn 1.9.1 RandomForestClassifier`."""
    files: Mapping[str, bytes | Path]
    """By path in the artifact: the content, or the file that holds it. `info.model` is one of them."""
    info: ArtifactInfo
    """With the signature, the backend and the task. Whether an input may be NaN, the proof decides."""
    rows: Any
    """The rows of the proof, as `ask` takes them; None where a served format came without."""
    ask: Callable[[Any], Tensors] | None
    """The original's answers to rows; whatever it raises for rows of an edge means that it refuses them.
    None for a format that is served as it is: then the rows are only run."""
    tensors: Callable[[Any], Tensors]
    """The same rows as the inputs of the signature."""
    edges: Sequence[Edge] = ()
    """Rows made to hurt: `edges.edges_of` makes them for tables."""
    tell_row: Callable[[Any, int], str] = tell_row
    """One row in words, for the worst one."""
    sizes: Mapping[str, float] = field(default_factory=dict)
    """What is large for an output, by its name, where single numbers near zero are only rounding."""
    rounding: float = 0.0
    """What the original's own precision loses: the tolerance is never finer."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What else the proof's entry should say."""


class Source(Protocol):
    """Where models come from. Stateless; its libraries are imported only when used."""

    @property
    def name(self) -> str:
        """As people call it: `XGBoost`."""

    def knows(self, model: object) -> bool:
        """Whether *model*, in memory, is one of its own; judged by module names (`recognising.is_from`)."""

    def reads(self, path: Path) -> bool:
        """Whether the file or folder at *path* is one of its own; judged by suffix and first bytes."""

    def runs_code(self, path: Path) -> str | None:
        """Why loading *path* would run code that is inside, and which line to type instead; None for data.

        With `--trust`, such a file is loaded in a child process and nowhere else (`apart`).
        """

    def load(self, path: Path) -> Any:
        """The model in memory; raises `Malformed` for a damaged file.

        It is drafted by the source that knows it, and by this one where none does: so a file may
        hold somebody else's model, and one that is served as it is may be "loaded" as an object of one's own.

        Runs no code, except for what `runs_code` confesses to.
        """

    def draft(self, model: Any, given: Given) -> Draft:
        """The model in its served format, not yet proved.

        Raises `Unsupported`, naming the operator or type that has no place there and what to do instead,
        and `Malformed` for a sample that the model itself refuses.
        """

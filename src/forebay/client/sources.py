"""What somebody wants to publish, as a folder that can be uploaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple

from forebay.client.progress import Progress
from forebay.core import INFO_NAME, ArtifactInfo
from forebay.core.errors import Malformed

_KNOWN = ("card", "lineage", "evidence")


class How(NamedTuple):
    """How a model is to be converted; each as `forebay.convert` has it, None for its default."""

    sample: Any = None
    columns: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    into: Any = None
    tolerance: float | None = None
    keep_sample: bool | None = None
    trust: bool | None = None
    entry: str | None = None
    requirements: Sequence[str] | None = None

    def said(self) -> dict[str, Any]:
        """What was said at all."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Source(NamedTuple):
    """An artifact folder, and what is known about its model."""

    folder: Path
    card: str | None = None
    lineage: Mapping[str, Any] = MappingProxyType({})
    evidence: tuple[dict[str, Any], ...] = ()


@contextmanager
def source_of(model: object, how: How, progress: Progress) -> Iterator[Source]:
    """*model* as an artifact folder that can be uploaded.

    *model* is what `forebay.convert` takes (a model in memory, or the path of its file or folder), what
    `forebay.convert` or `forebay.train` returned, or the path of an artifact folder. Raises what
    `forebay.convert` raises.
    """
    if _is_converted(model):
        _must_be_all(how)
    elif isinstance(model, str | Path) and (Path(model) / INFO_NAME).is_file():
        _must_be_all(how)
        yield Source(_checked(Path(model)))
        return
    else:
        what = Path(model).name if isinstance(model, str | Path) else type(model).__name__
        progress.step(f"converting {what} and proving that it answers the same")
        model = _converted(model, how)
    with TemporaryDirectory(prefix="forebay-") as folder:
        model.save(folder)  # type: ignore[attr-defined]  # seen above
        known = {name: getattr(model, name) for name in _KNOWN if hasattr(model, name)}
        yield Source(Path(folder), **known)


def _is_converted(model: object) -> bool:
    """Frameworks have a `save` too, but none keeps evidence."""
    return hasattr(model, "save") and hasattr(model, "evidence")


def _must_be_all(how: How) -> None:
    said = how.said()
    if said:
        raise Malformed(f"this model is converted already; leave {' and '.join(sorted(said))} out")


def _checked(folder: Path) -> Path:
    ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
    return folder


def _converted(model: object, how: How) -> Any:
    from forebay.workshop.convert import convert  # noqa: PLC0415 (heavy)

    return convert(model, **how.said())

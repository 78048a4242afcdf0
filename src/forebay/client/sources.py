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
from forebay.core.errors import Malformed, Unsupported

_PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill"})
_KNOWN = ("card", "lineage", "evidence")


class Source(NamedTuple):
    """An artifact folder, and what is known about its model."""

    folder: Path
    card: str | None = None
    lineage: Mapping[str, Any] = MappingProxyType({})
    evidence: tuple[dict[str, Any], ...] = ()


@contextmanager
def source_of(
    model: object, sample: Any, columns: Sequence[str] | None, progress: Progress
) -> Iterator[Source]:
    """*model* as an artifact folder that can be uploaded.

    *model* is a fitted scikit-learn estimator, what `forebay.convert` or `forebay.train` returned,
    or the path of an artifact folder. Raises `Malformed` and `Unsupported` with the line to type.
    """
    if isinstance(model, str | Path):
        yield Source(checked_folder(Path(model)))
        return
    if not hasattr(model, "save"):
        progress.step(f"converting {type(model).__name__} and proving that it answers the same")
        model = _converted(model, sample, columns)
    elif sample is not None or columns is not None:
        raise Malformed("this model is converted already; leave sample and columns out")
    with TemporaryDirectory(prefix="forebay-") as folder:
        model.save(folder)  # type: ignore[attr-defined]  # seen above
        known = {name: getattr(model, name) for name in _KNOWN if hasattr(model, name)}
        yield Source(Path(folder), **known)


def checked_folder(path: Path) -> Path:
    """*path* itself if it is an artifact folder; otherwise the sentence that says how to come to one."""
    if path.suffix.lower() in _PICKLES:
        raise Unsupported(_no_pickle(path))
    if not path.exists():
        raise Malformed(f"there is no {path}")
    if not path.is_dir():
        raise Unsupported(
            f"{path} is no artifact folder; forebay.convert(model, sample).save('folder') writes one"
        )
    info = path / INFO_NAME
    if not info.is_file():
        raise Malformed(
            f"{path} holds no {INFO_NAME}; forebay.convert(model, sample).save({str(path)!r}) writes it"
        )
    ArtifactInfo.decode(info.read_bytes())
    return path


def _no_pickle(path: Path) -> str:
    return (
        f"{path} is a pickle: loading it would run whatever is inside; load it yourself where you trust it, "
        f"and publish the model: forebay.connect().publish(joblib.load({str(path)!r}), "
        f"name={path.stem!r}, sample=X)"
    )


def _converted(model: object, sample: Any, columns: Sequence[str] | None) -> Any:
    if sample is None:
        raise Malformed("publish needs some real rows to prove the conversion with; pass sample=X_test[:100]")
    from forebay.workshop.convert import convert  # noqa: PLC0415 (heavy)

    return convert(model, sample, columns=columns)

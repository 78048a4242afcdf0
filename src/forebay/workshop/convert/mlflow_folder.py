"""MLflow's model folders, read without MLflow: the model inside, its example rows and its columns' names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forebay.core.artifact import checked_path
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert.mlflow_code import FLAVOUR
from forebay.workshop.convert.samples import rows_of

_MLMODEL = "MLmodel"
_LARGEST_BYTES = 8 << 20
_PLACES = {
    "sklearn": ("pickled_model",),
    "xgboost": ("data",),
    "lightgbm": ("data",),
    "catboost": ("data",),
    "onnx": ("data",),
    "keras": ("data",),
    "tensorflow": ("data", "saved_model_dir"),
    "pytorch": ("model_data",),
    "transformers": ("model_binary",),
    "spark": ("model_data",),
}
"""Under which keys a flavour says where its model is."""

_TABULAR = ("sklearn", "xgboost", "lightgbm", "catboost", "spark")
_INSIDE = ("model.keras", "model.h5", "model.pt2", "model.pth", "model")
"""What the flavours of neural networks call the model in their own folder."""


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """What an MLflow folder holds."""

    path: Path
    """The model, in its framework's own format."""
    sample: Any
    columns: tuple[str, ...] | None
    origin: Mapping[str, Any] = field(default_factory=dict)
    """What the folder says about where it comes from."""
    code: Mapping[str, Any] | None = None
    """What it says of its flavour `python_function`, where it has no other; then `path` is the folder."""


def is_mlflow(path: Path) -> bool:
    """Whether *path* is a folder that MLflow wrote."""
    return (path / _MLMODEL).is_file()


def read_mlflow(folder: Path) -> MlflowModel:
    """What is in *folder*.

    Raises `Malformed` for a damaged description and `Unsupported` where nobody knows its flavours.
    """
    said = _description(folder)
    flavours = said.get("flavors")
    if not isinstance(flavours, dict):
        raise Malformed(f"{folder / _MLMODEL} names no flavours; it is damaged")
    flavour = next((name for name in (*_PLACES, FLAVOUR) if name in flavours), None)
    if flavour is None:
        names = ", ".join(sorted(map(str, flavours)))
        raise Unsupported(f"{folder} has the flavours {names}, and none that anybody here reads")
    columns = _columns(said) if flavour in (*_TABULAR, FLAVOUR) else None
    example, origin = _example(folder, said), _origin(said, flavour)
    if flavour == FLAVOUR:
        about = flavours[FLAVOUR] if isinstance(flavours[FLAVOUR], dict) else {}
        return MlflowModel(folder, example, columns, origin, about)
    return MlflowModel(_model_in(folder, flavour, flavours[flavour]), example, columns, origin)


def _description(folder: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 (only here)

    file = folder / _MLMODEL
    if file.stat().st_size > _LARGEST_BYTES:
        raise Malformed(f"{file} is larger than any description that MLflow writes")
    try:
        said = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{file} is no YAML: {str(error).partition(chr(10))[0]}") from error
    if not isinstance(said, dict):
        raise Malformed(f"{file} does not describe a model; it is damaged")
    return said


def _model_in(folder: Path, flavour: str, said: Any) -> Path:
    places = [said[key] for key in _PLACES[flavour] if isinstance(said, dict) and key in said]
    if not places:
        raise Malformed(f"{folder / _MLMODEL} does not say where the {flavour} model is; it is damaged")
    path = folder / checked_path(str(places[0]))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Malformed(f"the model {places[0]!r} lies outside its MLflow folder")
    if path.is_dir():
        path = next((path / name for name in _INSIDE if (path / name).exists()), path)
    if not path.exists():
        raise Malformed(f"the {flavour} model {places[0]!r} is not in the folder {folder}")
    return path


def _columns(said: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the columns in the signature, where all have one."""
    signature = said.get("signature")
    try:
        columns = json.loads(signature["inputs"]) if isinstance(signature, dict) else []
        names = [str(column["name"]) for column in columns if "name" in column]
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"the signature in {_MLMODEL} cannot be read: {error!r}") from error
    return tuple(names) if names and len(names) == len(columns) else None


def _example(folder: Path, said: Mapping[str, Any]) -> Any:
    """The rows that were kept with the model; None where there are none."""
    info = said.get("saved_input_example_info")
    if not isinstance(info, dict) or "artifact_path" not in info:
        return None
    file = folder / checked_path(str(info["artifact_path"]))
    if file.suffix != ".json" or not file.is_file():
        return None
    try:
        found = json.loads(file.read_bytes())
        if isinstance(found, dict) and "data" in found:
            columns = found.get("columns")
            rows = found["data"]
            found = [dict(zip(columns, row, strict=True)) for row in rows] if columns else rows
        elif isinstance(found, dict):
            return found.get("inputs", found)
        return rows_of(found)
    except (ValueError, TypeError) as error:
        raise Malformed(f"the example rows {file.name!r} cannot be read: {error}") from error


def _origin(said: Mapping[str, Any], flavour: str) -> dict[str, Any]:
    kept = ("mlflow_version", "run_id", "model_uuid", "model_id", "utc_time_created")
    return {"flavour": flavour} | {key: str(said[key]) for key in kept if said.get(key)}

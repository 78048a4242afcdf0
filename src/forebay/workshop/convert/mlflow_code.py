"""MLflow's flavour `python_function`, where it is source: published as code that needs no MLflow to run.

A model "from code" is a file that tells `mlflow.models.set_model` its model; other flavours name a module
with `_load_pyfunc`. A pickled Python model is neither, and stays where it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forebay.core.artifact import checked_path
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need

FLAVOUR = "python_function"
ENTRY = "published:Model"
_FROM_CODE = "mlflow.pyfunc.model"
_FOLDER = "model"
_LEFT_OUT = ("__pycache__", "*.pyc", "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")
_TEMPLATES = Path(__file__).parent / "mlflow_templates"


def write_code(folder: Path, said: Mapping[str, Any], columns: tuple[str, ...] | None, target: Path) -> None:
    """Make of the MLflow *folder*, whose flavour says *said*, a folder of code at *target*.

    Raises `Unsupported` for a pickled model, with what to do instead.
    """
    loader = str(said.get("loader_module", ""))
    from_code = said.get("model_code_path")
    if loader == _FROM_CODE and from_code is None:
        raise Unsupported(_pickled(folder, said))
    shutil.copytree(folder, target / _FOLDER, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    about = {
        "LOADER": "" if from_code is not None else loader,
        "FILE": str(from_code or ""),
        "CODE": str(said.get("code") or ""),
        "DATA": str(said.get("data") or ""),
        "ARTIFACTS": {str(name): str(one["path"]) for name, one in (said.get("artifacts") or {}).items()},
        "CONFIG": said.get("config") if isinstance(said.get("config"), dict) else {},
        "COLUMNS": list(columns or ()),
    }
    _check(target / _FOLDER, about)
    text = (_TEMPLATES / "published.py.txt").read_text("utf-8")
    lines = [f"{name} = {value!r}" for name, value in about.items()]
    (target / "published.py").write_text(text.replace("# what the folder says", "\n".join(lines)), "utf-8")
    if from_code is not None:
        (target / "mlflow.py").write_text((_TEMPLATES / "mlflow.py.txt").read_text("utf-8"), "utf-8")


def named_sample(sample: Any, columns: Any) -> Any:
    """*sample* by column: a frame where the columns have names, otherwise one array by the name `x`."""
    if sample is None or hasattr(sample, "columns") or isinstance(sample, Mapping):
        return sample
    if columns is None:
        return {"x": sample}
    return need("pandas", "sklearn").DataFrame(sample, columns=list(map(str, columns)))


def requirements_of(said: Mapping[str, Any]) -> list[str]:
    """What the code needs beside what it is seen to import: MLflow itself for a loader of its own."""
    loader = str(said.get("loader_module", ""))
    return ["mlflow"] if loader.startswith("mlflow.") and loader != _FROM_CODE else []


def _check(folder: Path, about: Mapping[str, Any]) -> None:
    """Raise `Malformed` where the description names what is not in the folder."""
    if not about["LOADER"] and not about["FILE"]:
        raise Malformed(f"the flavour {FLAVOUR} does not say how its model is loaded; MLmodel is damaged")
    named = [about[name] for name in ("FILE", "CODE", "DATA") if about[name]]
    for name in (*named, *about["ARTIFACTS"].values()):
        if not (folder / checked_path(name)).exists():
            raise Malformed(f"the flavour {FLAVOUR} names {name!r}, which is not in its folder")


def _pickled(folder: Path, said: Mapping[str, Any]) -> str:
    file = said.get("python_model", "python_model.pkl")
    return (
        f"{folder} holds a pickled Python model ({file}), which no server loads; save it from code "
        "(mlflow.pyfunc.save_model(PATH, python_model='model.py'), where model.py ends with "
        "mlflow.models.set_model(…)) and publish that folder with --trust, or put its class into a folder of "
        "your own: forebay publish FOLDER --entry module:Class --name NAME"
    )


def why_code(folder: Path) -> str:
    """Why nothing of *folder* runs before its owner says so, and the line to type."""
    return (
        f"{folder} has only the flavour {FLAVOUR}: Python that would run. Where you trust it, run: "
        f"forebay publish {folder} --name {folder.name} --trust; it is tried in a child process, and served "
        "as code"
    )

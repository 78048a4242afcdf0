"""Why nobody reads a file or a folder, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from forebay.workshop.convert.looks import LFS_POINTER, looks_like

_MODELS = frozenset(
    {".onnx", ".tflite", ".keras", ".h5", ".pt2", ".ubj", ".cbm", ".skops", ".gguf", ".vw", ".safetensors"}
)
_FEW = 8


def models_in(folder: Path) -> list[Path]:
    """The files of *folder* that are models by their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _MODELS)


def why_unreadable(path: Path, known: str) -> str:
    """A sentence about *path* that says what to do; with *known*, all that is read, where only that helps."""
    if path.is_dir():
        return _about_folder(path, known)
    if path.suffix == ".py":
        return (
            f"{path} is Python; publish it as code, and say what in it is to be called: "
            f"entry='{path.stem}:NAME' (--entry {path.stem}:NAME)"
        )
    what = looks_like(path)
    if what.startswith("an archive") or (what == "a pickle" and path.suffix in (".zip", ".tar")):
        return f"{path} is {what}; unpack it, and publish what is inside"
    if what.startswith(LFS_POINTER):
        return f"{path} is {what}"
    strange = f"{what}, and " if what else ""
    return f"{path} is {strange}no model that anybody here reads; {known}"


def _about_folder(folder: Path, known: str) -> str:
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return f"the folder {folder} is empty; {known}"
    if any(name.endswith(".py") for name in names):
        return (
            f"{folder} holds Python; publish it as code, and say what in it is to be called: "
            "entry='module:NAME' (--entry module:NAME)"
        )
    more = " …" if len(names) > _FEW else ""
    return f"{folder} holds no model that anybody here reads, but {', '.join(names[:_FEW])}{more}; {known}"

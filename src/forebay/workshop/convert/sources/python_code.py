"""Python of its owner's: a function, a class with `predict`, or a folder with either. Served as code."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from forebay.core import CODE_FOLDER, INFO_NAME, ArtifactInfo, Signature, Tensors, TensorSpec
from forebay.core.artifact import checked_entry
from forebay.core.errors import Malformed, Unsupported
from forebay.core.requests import encode_request
from forebay.workshop.convert.answers import INPUTS, OUTPUTS, as_tensor, named_answer, specs_of
from forebay.workshop.convert.apart import run_apart
from forebay.workshop.convert.capture import captured
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.converted import write_files
from forebay.workshop.convert.model_files import REQUIREMENTS
from forebay.workshop.convert.pinning import pinned, sources_in
from forebay.workshop.convert.recognising import called
from forebay.workshop.convert.running import first_line

_MODULE = "published"
_LEFT_OUT = ("__pycache__", ".")
Files = dict[str, bytes | Path]


@dataclass(frozen=True, slots=True)
class CodeFolder:
    """A folder with modules, and what in it is to be called."""

    folder: Path
    entry: str


class PythonCode:
    """Functions, classes that are made without arguments and have `predict`, and folders of code."""

    name = "Python functions"

    def knows(self, model: object) -> bool:
        return isinstance(model, CodeFolder) or inspect.isroutine(model) or hasattr(model, "predict")

    def reads(self, _path: Path) -> bool:
        return False  # a folder is code only when its owner says so, with an entry

    def runs_code(self, _path: Path) -> str | None:
        return None

    def load(self, path: Path) -> Any:
        raise AssertionError(f"nothing reads {path}")

    def draft(self, model: Any, given: Given) -> Draft:
        if given.sample is None:
            raise Malformed("some rows are needed to see what the code answers; pass sample=X_test[:100]")
        if isinstance(model, CodeFolder):
            return _folder_draft(model, given)
        if not inspect.isroutine(model) and not inspect.isclass(model):
            raise Unsupported(
                f"a {called(model)} is an object with a state, which does not travel as source; publish its "
                "class, which is made without arguments and reads its state from files in its folder: "
                "publish('FOLDER', name=…, entry='module:Class')"
            )
        return _own_draft(model, given)


def _own_draft(target: Any, given: Given) -> Draft:
    """Of a function or a class in this process: it is its own original."""
    text = captured(target)
    files = _with_requirements({f"{CODE_FOLDER}/{_MODULE}.py": text.encode()}, [text], [_MODULE], given)
    predict: Callable[..., Any] = _made(target).predict if inspect.isclass(target) else target
    rows = _inputs(_parameters(predict), given.sample)

    def ask(tensors: Tensors) -> Tensors:
        return named_answer(predict(**tensors))

    try:
        answer = ask(rows)
    except Exception as error:  # whatever the owner's code raises
        raise Malformed(f"{target.__name__} itself fails on the sample: {first_line(error)}") from error
    kind = "class" if inspect.isclass(target) else "function"
    signature = _signature(rows, specs_of(answer), answer, given)
    return _draft(
        f"the Python {kind} {target.__name__}", files, f"{_MODULE}:{target.__name__}", signature, rows, ask
    )


def _made(target: Any) -> Any:
    """What the class makes of nothing."""
    try:
        return target()
    except TypeError as error:
        raise Malformed(f"{target.__name__} cannot be made without arguments: {error}") from error


def _folder_draft(model: CodeFolder, given: Given) -> Draft:
    """Of a folder: its code runs in a process of its own only, now as later."""
    module, _, name = checked_entry(model.entry).partition(":")
    files = _files_in(model.folder)
    file = _module_file(files, module)
    sources = sources_in(files)
    own = {path.split("/")[1].removesuffix(".py") for path in sources}
    files = _with_requirements(files, sources.values(), own, given)
    info = ArtifactInfo(Signature((), ()), backend="python", model=file, entry=model.entry)
    parameters = _parameters_in(sources[file], name)
    rows = _inputs(parameters, given.sample)
    inputs = Signature(specs_of(rows), ())
    outputs = _probed(files, msgspec.structs.replace(info, signature=inputs), rows)
    signature = _signature(rows, outputs, {}, given)
    return _draft(f"Python code, {model.entry}", files, model.entry, signature, rows, None, file)


def _draft(
    origin: str,
    files: Files,
    entry: str,
    signature: Signature,
    rows: Tensors,
    ask: Callable[[Tensors], Tensors] | None,
    file: str = f"{CODE_FOLDER}/{_MODULE}.py",
) -> Draft:
    requirements = files.get(f"{CODE_FOLDER}/{REQUIREMENTS}", b"")
    assert isinstance(requirements, bytes)
    return Draft(
        origin=origin,
        files=files,
        info=ArtifactInfo(signature, backend="python", model=file, entry=entry),
        rows=rows,
        ask=ask,
        tensors=lambda tensors: tensors,
        tell_row=lambda tensors, row: ", ".join(f"{name}={values[row]}" for name, values in tensors.items()),
        evidence={"code": True, "requirements": requirements.decode().splitlines()},
    )


def _parameters(predict: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(
        name
        for name, each in inspect.signature(predict).parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and each.default is each.empty
    )


def _parameters_in(source: str, name: str) -> tuple[str, ...]:
    """The parameters of a function, or of a class's `predict`, read off its source; none if not seen."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            node = next((each for each in node.body if getattr(each, "name", "") == "predict"), node)  # noqa: PLW2901
        if isinstance(node, ast.FunctionDef) and node.name in (name, "predict"):
            found = [each.arg for each in (*node.args.args, *node.args.kwonlyargs)]
            return tuple(each for each in found if each != "self")
    return ()


def _inputs(parameters: tuple[str, ...], sample: Any) -> Tensors:
    """*sample* by parameter: a dictionary's arrays, a frame's columns, or one array for one parameter."""
    if len(parameters) == 1 and not isinstance(sample, Mapping):
        values = sample.to_numpy() if hasattr(sample, "columns") else sample
        return {parameters[0]: as_tensor(values)}
    if hasattr(sample, "columns"):
        sample = {str(name): sample[name].to_numpy() for name in sample.columns}
    if not isinstance(sample, Mapping):
        raise Malformed(
            f"the code takes {list(parameters)}; give a sample of each: sample={{name: array, …}}"
        )
    unknown = set(parameters) - set(map(str, sample))
    if unknown:
        raise Malformed(f"the code takes {sorted(unknown)} too, and the sample has only {sorted(sample)}")
    return {str(name): as_tensor(values) for name, values in sample.items()}


def _signature(rows: Tensors, outputs: tuple[TensorSpec, ...], answer: Tensors, given: Given) -> Signature:
    count = {len(values) for values in rows.values()}
    if len(count) != 1 or not (total := count.pop()):
        raise Malformed("the arrays of the sample have different numbers of rows, or none")
    for name, values in answer.items():
        if len(values) != total:
            raise Malformed(
                f"the code answers {len(values)} {name}s to {total} rows; answer one for each row"
            )
    inputs = specs_of(rows)
    columns = given.columns or list(getattr(given.sample, "columns", ()))
    if len(inputs) == 1 and inputs[0].shape[1:] == (len(columns),):
        inputs = (msgspec.structs.replace(inputs[0], columns=tuple(map(str, columns))),)
    labels = tuple(map(str, given.labels or ()))
    return Signature(
        inputs,
        tuple(
            msgspec.structs.replace(spec, columns=labels)
            if labels and spec.shape[1:] == (len(labels),)
            else spec
            for spec in outputs
        ),
    )


def _with_requirements(files: Files, sources: Any, own: Any, given: Given) -> Files:
    place = f"{CODE_FOLDER}/{REQUIREMENTS}"
    written = files.get(place)
    said = list(given.requirements or ())
    if isinstance(written, Path):
        said += [line.partition("#")[0] for line in written.read_text("utf-8").splitlines()]
    lines = pinned([line for line in said if line.strip()], sources, own)
    return {**files, place: "".join(f"{line}\n" for line in lines).encode()}


def _files_in(folder: Path) -> Files:
    if folder.is_file():
        return {f"{CODE_FOLDER}/{folder.name}": folder}
    if not folder.is_dir():
        raise Malformed(f"there is no {folder}; an entry names what is in the folder of your code")
    return {
        f"{CODE_FOLDER}/{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(_LEFT_OUT) for part in path.relative_to(folder).parts)
    }


def _module_file(files: Files, module: str) -> str:
    place = f"{CODE_FOLDER}/{module.replace('.', '/')}"
    for file in (f"{place}.py", f"{place}/__init__.py"):
        if file in files:
            return file
    raise Malformed(f"the folder has no module {module!r}; the entry names one, like scoring:predict")


def _probed(files: Files, info: ArtifactInfo, rows: Tensors) -> tuple[TensorSpec, ...]:
    with TemporaryDirectory(prefix="forebay-code-") as name:
        folder = Path(name)
        write_files(files, folder)
        (folder / INFO_NAME).write_bytes(info.encode())
        (folder / INPUTS).write_bytes(encode_request(rows, info.signature))
        run_apart("forebay.workshop.convert.trusted.probe", folder)
        return msgspec.json.decode((folder / OUTPUTS).read_bytes(), type=Signature).inputs

"""OpenVINO IR: served as it is, with a free batch where that changes no answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from forebay.core import ArtifactInfo, Signature, Tensors
from forebay.core.errors import Malformed
from forebay.core.extras import need
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.openvino_checks import checked_ir, is_ir
from forebay.workshop.convert.running import answer, contents, opened
from forebay.workshop.convert.sources.freeing import Ask, Candidate, Files, freed, in_portions
from forebay.workshop.convert.sources.tensor_draft import Served, Told, tensor_draft

_XML, _BIN = "model.xml", "model.bin"
_UNKNOWN = ArtifactInfo(Signature((), ()), backend="openvino", model=_XML)


@dataclass(frozen=True, slots=True)
class Ir:
    """A graph and where its weights are."""

    xml: Path
    weights: Path


class OpenVinoIr:
    """`model.xml` with its `model.bin`, or a folder with the two."""

    name = "OpenVINO IR"

    def knows(self, model: object) -> bool:
        return isinstance(model, Ir)

    def reads(self, path: Path) -> bool:
        return is_ir(path) if path.is_file() else bool(_files_in(path))

    def runs_code(self, _path: Path) -> str | None:
        return None

    def load(self, path: Path) -> Ir:
        if path.is_dir():
            files = _files_in(path)
            if len(files) > 1:
                names = ", ".join(file.name for file in files)
                raise Malformed(f"{path} holds several models ({names}); publish each .xml for itself")
            [path] = files
        return Ir(path, checked_ir(path))

    def draft(self, model: Ir, given: Given) -> Draft:
        version = need("openvino", "openvino").__version__
        files: Files = {_XML: model.xml, _BIN: model.weights}
        with opened(files, _UNKNOWN) as backend:
            fixed = backend.signature
        with TemporaryDirectory(prefix="forebay-") as folder:
            found = freed(files, _UNKNOWN, fixed, _candidates(model, Path(folder)))
            kept = {name: contents(content) for name, content in found.files.items()}
            served = Served(kept, _UNKNOWN, fixed, in_portions(_asker(files), fixed), free=found.free)
            return tensor_draft(served, Told(f"an OpenVINO IR, with OpenVINO {version}"), given)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_ir(path))


def _candidates(model: Ir, folder: Path) -> Iterator[Candidate]:
    """The model with a free batch, if OpenVINO can work out the other sizes without it."""
    ov = need("openvino", "openvino")
    try:
        loose = ov.Core().read_model(model.xml, model.weights)
        shapes = {port: port.get_partial_shape() for port in loose.inputs}
        if any(shape.rank.is_dynamic or not len(shape) or shape[0].is_dynamic for shape in shapes.values()):
            return
        for shape in shapes.values():
            shape[0] = ov.Dimension()
        loose.reshape(shapes)
        ov.save_model(loose, folder / _XML, compress_to_fp16=False)
    except RuntimeError:  # OpenVINO's way to say that the graph does not allow it
        return
    yield Candidate({_XML: folder / _XML, _BIN: folder / _BIN}, ("batch",))


def _asker(files: Files) -> Ask:
    """The original, loaded for each question: a proof asks only a few."""

    def ask(tensors: Tensors) -> Tensors:
        with opened(files, _UNKNOWN) as backend:
            return answer(backend, tensors)

    return ask

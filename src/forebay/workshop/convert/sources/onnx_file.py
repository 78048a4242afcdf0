"""ONNX files, and models that are ONNX in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forebay.core import Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.onnx_checks import LARGEST_BYTES, checked_onnx, tensors_of
from forebay.workshop.convert.recognising import is_from
from forebay.workshop.convert.sources.onnx_graph import Original, graph_draft
from forebay.workshop.convert.unreadable import models_in

_SUFFIX = ".onnx"


class OnnxFile:
    """A graph with its weights, inside or beside the file."""

    name = "ONNX"

    def knows(self, model: object) -> bool:
        """A `ModelProto`."""
        return is_from(model, "onnx") and type(model).__name__ == "ModelProto"

    def reads(self, path: Path) -> bool:
        """A `.onnx` file, or a folder that holds one."""
        return path.suffix.lower() == _SUFFIX if path.is_file() else bool(_files_in(path))

    def runs_code(self, _path: Path) -> str | None:
        """Never: ONNX is data."""
        return None

    def load(self, path: Path) -> Any:
        """The checked model with all its weights in memory."""
        import onnx  # noqa: PLC0415 (heavy)

        if path.is_dir():
            files = models_in(path)
            if len(files) > 1:
                names = ", ".join(file.name for file in files)
                raise Malformed(f"{path} holds several models ({names}); publish each file for itself")
            [path] = files
        proto = checked_onnx(path)
        onnx.external_data_helper.load_external_data_for_model(proto, str(path.parent))
        size = sum(len(tensor.raw_data) for tensor in tensors_of(proto))
        if size > LARGEST_BYTES:
            raise Unsupported(
                f"{path.name!r} has {size / 1e9:.1f} GB of weights, and one ONNX file holds at most 2 GiB; "
                "store them in 16 bits or quantise them first"
            )
        return proto

    def draft(self, model: Any, given: Given) -> Draft:
        """The graph with its classes, and with its batch free where that changes no answer."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(model.SerializeToString())
            checked_onnx(path)
        made_by = f" from {model.producer_name}" if model.producer_name else ""
        return graph_draft(Original(f"an ONNX file{made_by}", model, _asker(model), {}), given)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == _SUFFIX)


def _asker(proto: Any) -> Any:
    import onnxruntime  # noqa: PLC0415 (heavy)

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime raises classes of its own making
        raise Malformed(f"ONNX Runtime cannot load the model: {error}") from error
    names = {value.name for value in session.get_inputs()}

    def ask(tensors: Tensors) -> list[Any]:
        try:
            answers: list[Any] = session.run(None, {n: v for n, v in tensors.items() if n in names})
        except Exception as error:  # see above
            raise Malformed(f"the model refused its input: {error}") from error
        return answers

    return ask

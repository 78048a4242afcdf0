"""Programs of torch.export are served in a process of their own, and what they may not bring is refused."""

from __future__ import annotations

import io
import json
import logging
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forebay.core import INFO_NAME, ArtifactInfo, DataType, Signature, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.engine import load
from forebay.serving.runtime import Backend, Budget
from forebay.serving.runtime.apart.pt2 import clean_copy

ROWS = Signature((TensorSpec("x", DataType.FP32, (-1, 3)),), (TensorSpec("y", DataType.FP32, (-1, 2)),))


class Trap:
    """Whoever unpickles it leaves a file behind."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return (Path.touch, (self._file,))


@pytest.fixture(scope="module")
def torch() -> Any:
    """Imported when a test needs it: it takes seconds."""
    return pytest.importorskip("torch")


def exported(file: Path, module: Any, *inputs: Any, dynamic: Any = None, **named: Any) -> Path:
    torch = import_module("torch")
    with torch.no_grad():
        program = torch.export.export(module.eval(), inputs, named or None, dynamic_shapes=dynamic)
    torch.export.save(program, file)
    return file


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory, torch: Any) -> Path:
    folder = tmp_path_factory.mktemp("linear")
    rows = {0: torch.export.Dim("batch")}
    return exported(folder / "model.pt2", torch.nn.Linear(3, 2), torch.ones(4, 3), dynamic=(rows,))


def artifact(folder: Path, program: Path, signature: Signature = ROWS) -> Path:
    folder.mkdir()
    (folder / "model.pt2").write_bytes(program.read_bytes())
    (folder / INFO_NAME).write_bytes(ArtifactInfo(signature, backend="python", model="model.pt2").encode())
    return folder


def changed(program: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """*program* with each member as *change* has it."""
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            data = change(member.partition("/")[2], old.read(member))
            if data is not None:
                new.writestr(member, data)
    return target


def model_changed(program: Path, target: Path, change: Callable[[Any], None]) -> Path:
    def one(name: str, data: bytes) -> bytes:
        if name != "models/model.json":
            return data
        model = json.loads(data)
        change(model)
        return json.dumps(model).encode()

    return changed(program, target, one)


@pytest.mark.slow
def test_a_program_needs_no_permission_and_answers_as_torch_does(
    tmp_path: Path, linear: Path, torch: Any
) -> None:
    backend: Backend = load(artifact(tmp_path / "a", linear), Budget(threads=2)).backend
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = torch.export.load(linear).module()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(backend.run({"x": x}, ["y"])["y"], expected, atol=1e-6)
    with pytest.raises(Malformed, match="the model refused its input"):
        backend.run({"x": np.ones((2, 4), np.float32)}, ["y"])
    assert backend.apart
    backend.close()


@pytest.mark.slow
def test_named_inputs_several_outputs_and_bf16_go_through(tmp_path: Path, torch: Any) -> None:
    class Two(torch.nn.Module):  # type: ignore[misc]  # a class of Any
        def forward(self, x: Any, *, scale: Any) -> Any:
            return {"doubled": (x * 2).to(torch.bfloat16), "scaled": x * scale}

    rows = {0: torch.export.Dim("batch")}
    program = exported(
        tmp_path / "two.pt2",
        Two(),
        torch.ones(4, 2),
        scale=torch.ones(4, 1),
        dynamic={"x": rows, "scale": rows},
    )
    signature = Signature(
        (TensorSpec("x", DataType.FP32, (-1, 2)), TensorSpec("scale", DataType.FP32, (-1, 1))),
        (TensorSpec("doubled", DataType.BF16, (-1, 2)), TensorSpec("scaled", DataType.FP32, (-1, 2))),
    )
    backend = load(artifact(tmp_path / "a", program, signature)).backend
    got = backend.run({"scale": np.full((1, 1), 5, "f4"), "x": np.ones((1, 2), "f4")}, ["scaled", "doubled"])
    assert got["scaled"].tolist() == [[5, 5]]
    assert got["doubled"].tolist() == [[0x4000, 0x4000]]
    backend.close()


@pytest.mark.slow
def test_a_program_that_does_not_fit_its_signature_is_refused(tmp_path: Path, linear: Path) -> None:
    wide = Signature((TensorSpec("x", DataType.FP32, (-1, 4)),), ROWS.outputs)
    with pytest.raises(Malformed, match=r"declared FP32 \[-1, 4\], the model has FP32 \[-1, 3\]"):
        load(artifact(tmp_path / "a", linear, wide))
    (tmp_path / "b.pt2").write_bytes(b"rubbish")
    with pytest.raises(Malformed, match=r"no \.pt2 as torch\.export\.save writes it"):
        load(artifact(tmp_path / "b", tmp_path / "b.pt2"))


@pytest.mark.slow
def test_example_inputs_that_are_a_pickle_are_refused_and_not_run(
    tmp_path: Path, linear: Path, torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprung = tmp_path / "sprung"
    sample = io.BytesIO()
    torch.save(Trap(sprung), sample)
    evil = changed(
        linear,
        tmp_path / "evil.pt2",
        lambda name, data: sample.getvalue() if "sample_inputs" in name else data,
    )
    with pytest.raises(Malformed, match="example inputs that are no plain tensors"):
        load(artifact(tmp_path / "a", evil))
    assert not sprung.exists()
    # Torch's own warning about it cannot be formatted, which pytest would take for a failure.
    monkeypatch.setattr(logging.getLogger("torch._export.serde.serialize"), "disabled", True)
    with suppress(AssertionError):  # it is no tuple either; by then it has run
        torch.export.load(evil)
    assert sprung.exists(), "else torch has become careful by itself, and this check can go"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The tensor attributes .* were assigned during export:UserWarning")
@pytest.mark.parametrize("name", ["conv", "lstm", "cond", "encoder"])
def test_ordinary_programs_pass(tmp_path: Path, torch: Any, name: str) -> None:
    class Branch(torch.nn.Module):  # type: ignore[misc]  # a class of Any
        def forward(self, x: Any) -> Any:
            return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))

    rows = {0: torch.export.Dim("batch")}
    shape: tuple[int, ...]
    module, shape = {
        "conv": (torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)), (2, 1, 8, 8)),
        "lstm": (torch.nn.LSTM(4, 8, batch_first=True), (2, 5, 4)),
        "cond": (Branch(), (3, 2)),
        "encoder": (torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
    }[name]
    program = exported(tmp_path / "a.pt2", module, torch.ones(shape), dynamic=(rows,))
    clean_copy(program, tmp_path / "b.pt2")
    x = torch.rand(3, *shape[1:])
    got, expected = (torch.export.load(tmp_path / f"{file}.pt2").module()(x) for file in "ba")
    for ours, theirs in zip(
        *(torch.utils._pytree.tree_leaves(each) for each in (got, expected)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def _operator(model: Any) -> None:
    model["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"


def _private_operator(model: Any) -> None:
    model["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.from_file.default"


def _extension(model: Any) -> None:
    model["graph_module"]["graph"]["nodes"][0]["target"] = "#somebody:anything"


def _size(text: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model["graph_module"]["graph"]["tensor_values"]["input"]["sizes"][0]["as_expr"]["expr_str"] = text

    return change


def _guard(text: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model["guards_code"] = [text]

    return change


def _tree(model: Any) -> None:
    call = model["graph_module"]["module_call_graph"][0]["signature"]
    call["out_spec"] = call["out_spec"].replace('"type": null', '"type": "os.system"')


def _custom(model: Any) -> None:
    model["graph_module"]["graph"]["custom_obj_values"] = {"a": {"name": "a", "class_fqn": "b"}}


def _symbol(model: Any) -> None:
    model["range_constraints"] = {"__import__('os')": {"min_val": 0, "max_val": None}}


@pytest.mark.parametrize(
    "change",
    [
        _operator,
        _private_operator,
        _extension,
        _tree,
        _custom,
        _symbol,
        _size("__import__('os').system('true')"),
        _size("Symbol('s1').__class__"),
        _size("(lambda: 1)()"),
        _size("[x for x in (1,)]"),
        _size("Symbol('s1', positive=open('f'))"),
        _size("getattr(s1, 'a')"),
        _size("s1("),
        _guard("L['x'].size().__class__ == 1"),
        _guard("L['x'].data == 1"),
        _guard("exec('1')"),
        _guard("L[__import__('os')].size()[0] == 1"),
    ],
)
def test_a_program_that_says_more_than_arithmetic_is_refused(
    tmp_path: Path, linear: Path, change: Callable[[Any], None]
) -> None:
    evil = model_changed(linear, tmp_path / "evil.pt2", change)
    with pytest.raises(Malformed, match="refused"):
        clean_copy(evil, tmp_path / "copy.pt2")


@pytest.mark.parametrize(
    "change",
    [
        _size("Mul(Integer(8), Symbol('s77', positive=True, integer=True))"),
        _size("2*s77 + FloorDiv(s77, 2)"),
        _guard("L['x'].size()[1] == 5"),
        _guard("1 + (L['x'].size()[1] // 2) <= L['args'][0].size()[1]"),
    ],
)
def test_arithmetic_on_sizes_passes(tmp_path: Path, linear: Path, change: Callable[[Any], None]) -> None:
    clean_copy(model_changed(linear, tmp_path / "a.pt2", change), tmp_path / "copy.pt2")


def test_pickled_weights_and_libraries_are_refused(tmp_path: Path, linear: Path) -> None:
    def pickled(name: str, data: bytes) -> bytes:
        return (
            data.replace(b'"use_pickle": false', b'"use_pickle": true') if "weights_config" in name else data
        )

    with pytest.raises(Malformed, match="as a pickle, which may run anything"):
        clean_copy(changed(linear, tmp_path / "evil.pt2", pickled), tmp_path / "copy.pt2")
    for name in ("data/aotinductor/model/model.so", "data/constants/opaque_obj_0", "models/other.json"):
        with zipfile.ZipFile(changed(linear, tmp_path / "more.pt2", lambda _, data: data), "a") as archive:
            archive.writestr(f"model/{name}", pickle.dumps(1))
        with pytest.raises(Malformed, match="which a model without code does not have"):
            clean_copy(tmp_path / "more.pt2", tmp_path / "copy.pt2")

"""What PyTorch leaves on a disk: weights and programs are taken, code is refused, or loaded apart."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.workshop.convert import convert
from forebay.workshop.convert.running import answer, opened
from support.tiny_networks import Decides, Reads, answers_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),  # people still have such files
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),  # torch's own
    pytest.mark.filterwarnings("ignore:'torch.load' received a zip file:UserWarning"),  # as asked
]
ROWS = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)


def exported(module: Any, path: Path, **shapes: Any) -> Path:
    torch.export.save(torch.export.export(module, (torch.from_numpy(ROWS),), **shapes), path)
    return path


def any_rows() -> Any:
    return ({0: torch.export.Dim("batch")},)


def test_a_program_of_torch_export_needs_neither_class_nor_sample(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Softmax(1)).eval()
    path = exported(module, tmp_path / "net.pt2", dynamic_shapes=any_rows())
    converted = convert(path, labels=["a", "b", "c"])
    with opened(converted.files, converted.info) as backend:
        got = answer(backend, {converted.signature.inputs[0].name: ROWS})
    np.testing.assert_allclose(got["probabilities"], answers_of(module, ROWS), atol=1e-6)
    assert converted.evidence[0]["sample"] == "the program's own example"


@pytest.mark.parametrize(
    ("training", "shapes", "match"),
    [
        (False, {}, "for a fixed number of rows.*Dim"),
        (True, {"dynamic_shapes": "any"}, r"call model\.eval\(\)"),
    ],
)
def test_a_program_that_answers_nobody_well_is_refused(
    training: bool, shapes: dict[str, Any], match: str, tmp_path: Path
) -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)).train(training)
    path = exported(module, tmp_path / "net.pt2", **({"dynamic_shapes": any_rows()} if shapes else {}))
    with pytest.raises(Unsupported, match=match):
        convert(path)


class Evil:
    """What a pickle can do: leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_program_with_a_pickle_or_a_library_inside_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    """`torch.export.load` would unpickle the one and run the other."""
    plain = exported(nn.Linear(4, 2), tmp_path / "net.pt2", dynamic_shapes=any_rows())
    evil = io.BytesIO()
    torch.save(Evil(tmp_path / "pwned"), evil)

    def examples(name: str, data: bytes) -> bytes:
        return evil.getvalue() if name.endswith("sample_inputs/model.pt") else data

    def weights(name: str, data: bytes) -> bytes:
        if name.endswith("weights/weight_0"):
            return evil.getvalue()
        if not name.endswith("model_weights_config.json"):
            return data
        config = json.loads(data)
        next(iter(config["config"].values()))["use_pickle"] = True
        return json.dumps(config).encode()

    for name, change, match in (
        ("examples", examples, "example inputs that are no plain tensors"),
        ("weights", weights, "as a pickle, which may run anything"),
    ):
        with pytest.raises(Malformed, match=rf"{match}.*hub\.publish\(torch\.export\.load"):
            convert(_repacked(plain, tmp_path / f"{name}.pt2", change))
    library = _repacked(
        plain, tmp_path / "library.pt2", lambda _, data: data, more="data/aotinductor/model/x.so"
    )
    with pytest.raises(Malformed, match=r"brings 'data/aotinductor/model/x\.so'"):
        convert(library)
    assert not (tmp_path / "pwned").exists()


def _repacked(plain: Path, path: Path, change: Any, more: str = "") -> Path:
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        if more:
            new.writestr(f"{old.namelist()[0].partition('/')[0]}/{more}", b"\x7fELF")
    return path


def test_a_program_with_a_free_length_is_asked_at_any() -> None:
    words = torch.randint(0, 20, (5, 6))
    shapes = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("length")},)
    program = torch.export.export(Reads().eval(), (words,), dynamic_shapes=shapes)
    converted = convert(program)
    assert converted.signature.inputs[0].shape == (-1, -1)
    assert {"length 1", "length 64"} <= set(converted.evidence[0]["edges"])


def test_weights_are_published_into_their_class_and_leave_the_given_module_alone(tmp_path: Path) -> None:
    trained, fresh = Decides(), Decides()
    before = [weight.clone() for weight in fresh.state_dict().values()]
    save_file(trained.state_dict(), tmp_path / "net.safetensors")
    torch.save(trained.state_dict(), tmp_path / "net.pt")
    torch.save({"state_dict": trained.state_dict(), "epoch": 3}, tmp_path / "checkpoint.pth")
    models = set()
    for name, into in (("net.safetensors", fresh), ("net.pt", Decides), ("checkpoint.pth", fresh)):
        models.add(convert(tmp_path / name, ROWS, into=into).files["model.onnx"])
    assert len(models) == 1
    assert models == {convert(trained, ROWS).files["model.onnx"]}
    assert all(map(torch.equal, before, fresh.state_dict().values()))


@pytest.mark.parametrize(
    ("into", "error", "match"),
    [
        (None, Unsupported, "--class"),
        (nn.Linear(4, 3), Malformed, "do not belong to this Linear: size mismatch"),
    ],
)
def test_weights_without_their_class_are_refused(
    into: Any, error: type[ForebayError], match: str, tmp_path: Path
) -> None:
    save_file(Decides().state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(error, match=match):
        convert(tmp_path / "net.safetensors", ROWS, into=into)


def test_code_is_refused_with_the_line_to_run_and_with_trust_loaded_in_a_child(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 2)).eval()
    torch.save(module, tmp_path / "whole.pt")
    torch.jit.save(torch.jit.script(module), tmp_path / "script.pt")
    torch.save(Evil(tmp_path / "pwned"), tmp_path / "evil.pth")
    for name, match in (
        ("whole.pt", r"torch\.load\('.*', weights_only=False\), name='whole', sample=X\)"),
        (
            "script.pt",
            r"is TorchScript, which is code; .*torch\.jit\.load\('.*'\), name='script', sample=X\).* --trust",
        ),
        ("evil.pth", "run whatever is inside"),
    ):
        with pytest.raises(Unsupported, match=match):
            convert(tmp_path / name, ROWS)
    assert not (tmp_path / "pwned").exists()
    trusted = [convert(tmp_path / name, ROWS, trust=True) for name in ("whole.pt", "script.pt")]
    for converted in (*trusted, convert(torch.jit.load(tmp_path / "script.pt"), ROWS)):
        with opened(converted.files, converted.info) as backend:
            got = answer(backend, {"input": ROWS})["output"]
        np.testing.assert_allclose(got, answers_of(module, ROWS), atol=1e-6)


def test_what_torch_exports_itself_into_two_files_is_published_as_one_artifact(tmp_path: Path) -> None:
    """Told nothing, `torch.onnx.export` leaves the weights in a second file, `net.onnx.data`."""
    module = nn.Sequential(nn.Linear(4, 512), nn.ReLU(), nn.Linear(512, 2)).eval()
    path, shapes = tmp_path / "net.onnx", ({0: torch.export.Dim("batch")},)
    torch.onnx.export(
        module, (torch.from_numpy(ROWS),), path, dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    assert (tmp_path / "net.onnx.data").stat().st_size > path.stat().st_size / 10
    converted = convert(path, ROWS)
    (tmp_path / "net.onnx.data").unlink()  # as on the server, which has only what was uploaded
    name = converted.signature.inputs[0].name
    with opened(converted.files, converted.info) as backend:
        [got] = answer(backend, {name: ROWS}).values()
    np.testing.assert_allclose(got, answers_of(module, ROWS), atol=1e-5)
    torch.onnx.export(
        module, (torch.from_numpy(ROWS),), path, dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    (tmp_path / "net.onnx.data").unlink()
    with pytest.raises(Malformed, match=r"net\.onnx\.data"):
        convert(path, ROWS)


@pytest.mark.parametrize("name", ["net.pt2", "net.safetensors"])
def test_a_damaged_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(Malformed, match=f"{name!r}"):
        convert(tmp_path / name, ROWS, into=Decides)

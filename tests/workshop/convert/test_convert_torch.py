"""A PyTorch module becomes ONNX, answers the same for any number of rows, and stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.workshop.convert import Converted, Different, convert
from forebay.workshop.convert.running import answer, opened
from forebay.workshop.convert.sources import torch_onnx
from support.tiny_networks import (
    Centres,
    Guesses,
    Mends,
    MendsByName,
    Mixed,
    Moments,
    Nested,
    Pairs,
    Pictures,
    Scales,
    Sums,
    answers_of,
)

pytestmark = pytest.mark.slow

PICTURES = np.random.default_rng(0).random((20, 1, 8, 8), np.float32)
ROWS = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)
DIGITS = [str(digit) for digit in range(10)]


def asked(converted: Converted, **inputs: Any) -> Any:
    with opened(converted.files, converted.info) as backend:
        return answer(backend, inputs)


def test_a_classifier_answers_labels_and_probabilities_as_itself_and_learns_on_afterwards() -> None:
    module = Pictures().train()
    module.norm.eval()  # frozen by its owner
    generator, weights = torch.get_rng_state(), [weight.clone() for weight in module.state_dict().values()]
    converted = convert(module, PICTURES, labels=DIGITS)
    [image], [label, probabilities] = converted.signature.inputs, converted.signature.outputs
    assert (image.name, image.datatype.value, image.shape, image.nan) == (
        "image",
        "FP32",
        (-1, 1, 8, 8),
        False,
    )
    assert (label.name, label.datatype.value) == ("label", "BYTES")
    assert probabilities.columns == tuple(DIGITS)
    assert converted.info.task == "classification"
    got = asked(converted, image=PICTURES)
    expected = torch.softmax(torch.from_numpy(answers_of(module, PICTURES)), 1).numpy()
    np.testing.assert_allclose(got["probabilities"], expected, atol=1e-6)
    assert got["label"].tolist() == [DIGITS[best] for best in expected.argmax(1)]
    assert converted.evidence[0]["outputs"]["label"] == {"equal": 1.0}
    assert {"one row alone", "three rows", "zeros"} <= set(converted.evidence[0]["edges"])
    assert module.training
    assert module.drop.training
    assert not module.norm.training
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(map(torch.equal, weights, module.state_dict().values()))


def test_nothing_of_the_owners_machine_is_in_the_file() -> None:
    converted = convert(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), ROWS)
    model = converted.files["model.onnx"]
    assert isinstance(model, bytes)
    assert list(converted.files) == ["model.onnx"]  # no second file with the weights
    assert b".py" not in model
    assert not any(node.metadata_props for node in onnx.load_from_string(model).graph.node)


def test_inputs_and_outputs_of_every_kind_go_by_their_names() -> None:
    sample = {
        "item": np.array([0, 3, 19]),
        "sold": np.array([True, False, True]),
        "sizes": np.array([[1, 2, 3], [4, 5, 6], [0, 0, 1]], np.float32),
    }
    converted = convert(Mixed(), sample)
    assert [(spec.name, spec.datatype.value, spec.shape) for spec in converted.signature.inputs] == [
        ("item", "INT64", (-1,)),
        ("sold", "BOOL", (-1,)),
        ("sizes", "FP32", (-1, 3)),
    ]
    assert [(spec.name, spec.datatype.value) for spec in converted.signature.outputs] == [
        ("price", "FP32"),
        ("open", "BOOL"),
        ("item_output", "INT64"),
    ]
    got = asked(converted, **sample)
    assert got["open"].tolist() == [False, True, False]
    assert got["item_output"].tolist() == [1, 4, 20]


def test_a_network_that_decides_by_its_data_is_served_where_rows_do_not_disturb_each_other() -> None:
    converted = convert(Mends(), torch.from_numpy(ROWS))
    assert converted.signature.inputs[0].nan  # it mends missing numbers itself
    broken = ROWS.copy()
    broken[0, 0] = np.nan
    got, whole = asked(converted, x=broken)["output"], asked(converted, x=ROWS)["output"]
    np.testing.assert_allclose(got[1:], whole[1:], atol=1e-6)
    assert np.isfinite(got).all()


@pytest.mark.parametrize("precision", [torch.float16, torch.float64])
def test_a_network_keeps_its_own_precision(precision: torch.dtype) -> None:
    module = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.LayerNorm(64), nn.Linear(64, 2)).to(precision)
    converted = convert(module, ROWS)
    [x], [output] = converted.signature.inputs, converted.signature.outputs
    wanted = {torch.float16: "FP16", torch.float64: "FP64"}[precision]
    assert (x.datatype.value, output.datatype.value) == (wanted, wanted)
    assert converted.evidence[0]["tolerance"] < (2e-2 if precision is torch.float16 else 2e-4)


def test_nested_answers_are_named_by_their_path_and_keywords_by_theirs() -> None:
    converted = convert(Nested(), {"x": ROWS, "scale": ROWS[:, :1]})
    assert [spec.name for spec in converted.signature.inputs] == ["x", "scale"]
    got = asked(converted, x=ROWS, scale=ROWS[:, :1])
    assert {name: values.shape[1:] for name, values in got.items()} == {
        "house_price": (2,),
        "house_parts_output_0": (4,),
        "house_parts_output_1": (4,),
        "rest": (1,),
    }
    np.testing.assert_allclose(got["house_parts_output_1"], ROWS * ROWS[:, :1], atol=1e-6)


MOMENTS = np.random.default_rng(2).standard_normal((5, 9, 4)).astype(np.float32)
MIXED_ROWS = np.array([[0.1, 0.2], [300, 20]], np.float32)


@pytest.mark.parametrize(
    ("module", "sample", "error", "match"),
    [
        (
            MendsByName(),
            ROWS,
            Unsupported,
            r"line \d+ of tiny_networks\.py, `if torch\.isnan\(x\)\.any\(\):`.*where",
        ),
        (Scales(), MIXED_ROWS, Malformed, "depends on the other rows"),
        (Centres(), ROWS, Malformed, "depends on the other rows"),
        (Pairs(), ROWS[:2], Malformed, "refuses its first row alone"),
        (Sums(), ROWS, Malformed, r"of the shape \[\].*an answer a row"),
        (Mends(), torch.randn(3, 4, dtype=torch.float64), Malformed, r"same dtype.*x float64\[3, 4\]"),
        (Mends(), np.zeros((0, 4)), Malformed, "the sample is empty"),
        (Mends(), [["a", "b", "c", "d"]], Malformed, "takes numbers"),
        (Mends(), {"y": ROWS}, Malformed, r"takes \['x'\], and the sample has \['y'\]"),
        (Mends(), None, Malformed, "pass sample="),
        (nn.Sequential(nn.Linear(4, 2), nn.GELU()).double(), ROWS, Unsupported, r"Erf.*model\.float\(\)"),
        (Moments(), MOMENTS, Malformed, "depends on the other rows.*rows in the first dimension"),
        (Guesses(), ROWS, Malformed, "depends on chance"),
        (
            Mends(),
            DataLoader(TensorDataset(torch.from_numpy(ROWS))),
            Malformed,
            r"next\(iter\(loader\)\)\[0\]",
        ),
        (Mends, ROWS, Unsupported, r"Mends is a class; publish what it makes"),
        (Mends().bfloat16(), ROWS, Unsupported, r"model\.float\(\)"),
        (nn.Linear(4, 2).state_dict(), ROWS, Unsupported, "into=Net"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_cannot_be_served_is_refused_with_a_reason(
    module: Any, sample: Any, error: type[ForebayError], match: str
) -> None:
    with pytest.raises(error, match=f"(?s){match}"):
        convert(module, sample)


@pytest.mark.parametrize(
    ("labels", "match"),
    [(["a", "b", "c"], "3 labels for an output of the shape"), (["a", "a"], "two labels are the same")],
)
def test_labels_that_do_not_fit_are_refused(labels: list[str], match: str) -> None:
    with pytest.raises(Malformed, match=match):
        convert(nn.Linear(4, 2), ROWS, labels=labels)


def test_rows_of_plain_python_are_taken_in_the_precision_of_the_weights() -> None:
    converted = convert(nn.Linear(2, 1).double(), [[1.0, 2.0], [3.0, 4.0]], columns=["length", "width"])
    [x] = converted.signature.inputs
    assert (x.name, x.datatype.value, x.columns) == ("input", "FP64", ("length", "width"))


def test_a_conversion_that_went_wrong_shows_the_worst_row(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = torch_onnx.export

    def forged(*arguments: Any) -> Any:
        proto = honest(*arguments)
        for weight in proto.graph.initializer:
            if weight.name.endswith("bias"):
                weight.CopyFrom(onnx.numpy_helper.from_array(np.full(2, 9, np.float32), weight.name))
        return proto

    monkeypatch.setattr(torch_onnx, "export", forged)
    with pytest.raises(Different, match=r"worst is row \d: output: expected \[.*the row is input=\["):
        convert(nn.Linear(4, 2), ROWS)

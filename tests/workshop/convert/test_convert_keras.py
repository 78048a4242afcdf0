"""A Keras model becomes ONNX from whichever backend it runs on, and from what it left on a disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert import Converted, convert
from forebay.workshop.convert.running import answer, opened
from support.keras_models import HOUSES, ROWS, WORDS, classifier, house, reader, tell_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy"),  # Keras, saving
]
layers = keras.layers
KERAS_2 = Path(__file__).parents[2] / "support/keras2"


def asked(converted: Converted, **inputs: Any) -> Any:
    with opened(converted.files, converted.info) as backend:
        return answer(backend, inputs)


def test_a_model_that_was_never_called_is_published_with_its_labels() -> None:
    """Keras itself refuses to export it."""
    model = classifier()
    converted = convert(model, ROWS, labels=["a", "b", "c"])
    [x], [label, probabilities] = converted.signature.inputs, converted.signature.outputs
    assert (x.name, x.datatype.value, x.shape) == ("x", "FP32", (-1, 8))
    assert (label.name, probabilities.columns) == ("label", ("a", "b", "c"))
    got, expected = asked(converted, x=ROWS.astype(np.float32)), np.asarray(model(ROWS, training=False))
    np.testing.assert_allclose(got["probabilities"], expected, atol=1e-6)
    assert got["label"].tolist() == ["abc"[best] for best in expected.argmax(1)]


def test_gelu_which_keras_writes_as_an_operator_that_onnx_does_not_have_is_written_with_one_that_it_has() -> (
    None
):
    model = classifier("gelu")
    converted = convert(model, ROWS)
    got = asked(converted, x=ROWS.astype(np.float32))["output"]
    np.testing.assert_allclose(got, np.asarray(model(ROWS, training=False)), atol=1e-6)


@pytest.mark.parametrize(
    ("last", "labels", "outputs"),
    [
        (None, ["a", "b", "c"], ["label", "probabilities"]),  # logits: a softmax makes probabilities
        ("sigmoid", ["a", "b", "c"], ["probabilities"]),  # several may be true
    ],
)
def test_what_the_last_layer_means_is_recognised(
    last: str | None, labels: list[str], outputs: list[str]
) -> None:
    converted = convert(classifier(last=last), ROWS, labels=labels)
    assert [spec.name for spec in converted.signature.outputs] == outputs
    sums = asked(converted, x=ROWS.astype(np.float32))["probabilities"].sum(axis=1)
    assert np.allclose(sums, 1) is (last is None)


@pytest.mark.parametrize("last", ["sigmoid", None])
def test_one_number_for_two_classes_becomes_a_probability_for_each(last: str | None) -> None:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1, activation=last)])
    got = asked(convert(model, ROWS, labels=["no", "yes"]), x=ROWS.astype(np.float32))
    number = np.asarray(model(ROWS))[:, 0]
    second = number if last else 1 / (1 + np.exp(-number))
    np.testing.assert_allclose(got["probabilities"], np.stack([1 - second, second], axis=1), atol=1e-6)
    assert got["label"].tolist() == ["yes" if value > 0.5 else "no" for value in second]


@pytest.mark.parametrize("by_name", [True, False])
def test_inputs_and_outputs_keep_their_names(by_name: bool) -> None:
    model = house(by_name=by_name)
    converted = convert(model, HOUSES if by_name else list(HOUSES.values()))
    assert {spec.name for spec in converted.signature.inputs} == {"rooms", "garden"}
    assert {spec.name for spec in converted.signature.outputs} == {"price", "kind"}
    got = asked(converted, **{name: rows.astype(np.float32) for name, rows in HOUSES.items()})
    expected = model(HOUSES if by_name else list(HOUSES.values()))
    np.testing.assert_allclose(
        got["price"], np.asarray(expected["price"] if by_name else expected[0]), atol=1e-5
    )


def test_a_recurrent_network_takes_any_length() -> None:
    converted = convert(reader(), WORDS)
    assert converted.signature.inputs[0].shape == (-1, -1)
    assert {"length 1", "length 64"} <= set(converted.evidence[0]["edges"])


def learned() -> Any:
    """What has means from outside of its graph, and what shakes pictures while it learns."""
    normal = layers.Normalization()
    normal.adapt(PICTURES)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)), normal, layers.RandomFlip(), layers.RandomRotation(0.2),
            layers.GaussianNoise(1.0), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten(),
            layers.Dense(2),
        ]
    )  # fmt: skip


def read_with_gaps() -> Any:
    """Words of which 0 is none, read forwards and backwards, some forgotten while it learns."""
    return keras.Sequential(
        [
            keras.Input((6,)), layers.Embedding(20, 4, mask_zero=True),
            layers.Bidirectional(layers.GRU(3, dropout=0.5, recurrent_dropout=0.5)), layers.Dense(2),
        ]
    )  # fmt: skip


PICTURES = np.random.default_rng(4).random((6, 8, 8, 3), np.float32)
GAPS = np.where(np.arange(6) < 4, WORDS, 0)


@pytest.mark.parametrize(("model", "rows"), [(learned, PICTURES), (read_with_gaps, GAPS)])
def test_what_behaves_otherwise_while_it_learns_answers_as_it_serves(model: Any, rows: Any) -> None:
    made = model()
    got = asked(convert(made, rows), x=rows.astype(np.float32))["output"]
    np.testing.assert_allclose(got, np.asarray(made(rows, training=False)), atol=1e-5)


def test_outputs_within_outputs_are_named_by_their_path() -> None:
    x = keras.Input((8,), name="x")
    parts = [layers.Dense(size)(x) for size in (1, 2, 3)]
    made = keras.Model(x, {"house": {"price": parts[0], "kind": parts[1]}, "more": [parts[2]]})
    got = asked(convert(made, ROWS), x=ROWS.astype(np.float32))
    assert {name: values.shape for name, values in got.items()} == {
        "house_kind": (30, 2),
        "house_price": (30, 1),
        "more_0": (30, 3),
    }
    np.testing.assert_allclose(got["house_kind"], np.asarray(made(ROWS)["house"]["kind"]), atol=1e-6)


def in_precision(policy: str) -> Any:
    last = layers.Dense(2, dtype="float32")
    return keras.Sequential([keras.Input((8,)), layers.Dense(16, "gelu", dtype=policy), last])


def test_half_precision_is_judged_as_coarsely_as_it_is() -> None:
    evidence = convert(in_precision("mixed_float16"), ROWS).evidence[0]
    assert evidence["rows_off"] == 0
    assert 1e-4 < evidence["tolerance"] < 2e-2


class Guesses(keras.layers.Layer):  # type: ignore[misc]  # untyped here
    """Drops out even when it is asked not to."""

    def call(self, x: Any) -> Any:
        return keras.random.dropout(x, 0.5)


def with_memory() -> Any:
    """A network that remembers for sure: drawn weights and large numbers may shut its gates for ever."""
    weights = keras.initializers.GlorotUniform(seed=1), keras.initializers.Orthogonal(seed=1)
    memory = layers.LSTM(2, stateful=True, kernel_initializer=weights[0], recurrent_initializer=weights[1])
    return keras.Sequential([keras.Input(batch_shape=(9, 6, 1)), memory])


@pytest.mark.parametrize(
    ("model", "sample", "error", "match"),
    [
        (lambda: in_precision("mixed_bfloat16"), ROWS, Unsupported, r"bfloat16.*set_dtype_policy\('float32"),
        (lambda: keras.Sequential([keras.Input((8,)), Guesses()]), ROWS, Malformed, "depends on chance"),
        (with_memory, WORDS[:, :, np.newaxis] / np.float32(20), Malformed, "what it was asked before"),
    ],
)
def test_what_a_server_cannot_ask_is_refused(
    model: Any, sample: Any, error: type[ForebayError], match: str
) -> None:
    with pytest.raises(error, match=f"(?s){match}"):
        convert(model(), sample)


@keras.saving.register_keras_serializable("forebay-tests")
class Thirds(keras.Model):  # type: ignore[misc]  # untyped here
    """A subclass, whose shapes nobody knows before it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.decide = layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.decide(x) / 3


def test_a_subclass_and_a_lambda_in_memory_are_the_owners_own() -> None:
    doubled = keras.Sequential([keras.Input((8,)), layers.Lambda(lambda x: x * 2), layers.Dense(2)])
    for model in (Thirds(), doubled):
        assert convert(model, ROWS).signature.inputs[0].shape == (-1, 8)


@pytest.mark.parametrize(
    ("model", "sample", "match"),
    [
        (Thirds, None, "pass sample="),
        (classifier, np.zeros((3, 5)), r"refuses the sample.*x float32\[3, 5\]"),
        (house, {"rooms": HOUSES["rooms"]}, r"the sample lacks \['garden'\]"),
        (house, HOUSES | {"cellar": np.zeros((9, 1))}, r"the sample has \['cellar'\]"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused(model: Any, sample: Any, match: str) -> None:
    with pytest.raises(Malformed, match=f"(?s){match}"):
        convert(model(), sample)


@pytest.mark.filterwarnings(
    "ignore:You are saving your model as an HDF5 file"
)  # the old files are what is tested
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_saved_model_needs_no_sample(name: str, tmp_path: Path) -> None:
    model = classifier("gelu")
    model.save(tmp_path / name)
    converted = convert(tmp_path / name)
    assert converted.evidence[0]["sample"] == "generated"
    got = asked(converted, x=ROWS.astype(np.float32))["output"]
    np.testing.assert_allclose(got, np.asarray(model(ROWS, training=False)), atol=1e-6)


def test_a_file_of_keras_2_answers_as_it_did_there() -> None:
    """Written and asked by Keras 2 itself (tf_keras 2.21): convolution, batch norm, GRU both ways."""
    told = json.loads((KERAS_2 / "answers.json").read_text())
    rows = np.array(told["rows"], np.float32)
    converted = convert(KERAS_2 / "model.h5", rows, labels=["a", "b", "c"])
    assert [(spec.name, spec.shape) for spec in converted.signature.inputs] == [("steps", (-1, 6, 3))]
    got = asked(converted, steps=rows)["probabilities"]
    np.testing.assert_allclose(got, told["probabilities"], atol=1e-5)


def test_a_setting_of_keras_2_that_meant_something_is_refused(tmp_path: Path) -> None:
    with need("h5py", "keras").File(shutil.copy(KERAS_2 / "model.h5", tmp_path), "r+") as file:
        described = file.attrs["model_config"]
        assert '"time_major": false' in described
        file.attrs["model_config"] = described.replace('"time_major": false', '"time_major": true')
    with pytest.raises(Unsupported, match=r"'model\.h5' has a layer with time_major, which is gone"):
        convert(tmp_path / "model.h5")


@pytest.mark.parametrize("model", [classifier, house, reader])
def test_a_saved_model_folder_of_tensorflow_is_taken_as_it_is(model: Any, tmp_path: Path) -> None:
    made = model()
    made.export(tmp_path / "folder", format="tf_saved_model", verbose=False)
    converted = convert(tmp_path / "folder")
    sample = {"x": ROWS, "x_words": WORDS, **HOUSES}
    names = [spec.name for spec in converted.signature.inputs]
    rows = {name: sample["x_words" if model is reader else name].astype(np.float32) for name in names}
    got = asked(converted, **rows)
    expected = made(rows if model is house else rows["x"], training=False)
    wanted = expected if model is house else {"output": expected}
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(got[name], np.asarray(values), atol=1e-5)


def test_a_lambda_in_a_file_is_refused_with_the_line_to_run_and_with_trust_loaded_in_a_child(
    tmp_path: Path,
) -> None:
    model = keras.Sequential([keras.Input((8,)), layers.Lambda(lambda x: x * 2), layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(Unsupported, match=r"a Lambda layer.*safe_mode=False\), name='model'\).*--trust"):
        convert(tmp_path / "model.keras")
    got = asked(convert(tmp_path / "model.keras", trust=True), x=ROWS.astype(np.float32))["output"]
    np.testing.assert_allclose(got, np.asarray(model(ROWS)), atol=1e-5)


def test_a_class_that_is_not_in_the_file_is_named(tmp_path: Path) -> None:
    classifier().save(tmp_path / "model.keras")
    with (
        zipfile.ZipFile(tmp_path / "model.keras") as old,
        zipfile.ZipFile(tmp_path / "strange.keras", "w") as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                data = json.dumps(_renamed(json.loads(data))).encode()
            new.writestr(name, data)
    with pytest.raises(Unsupported, match=r"needs the class 'Mine'.*publish the model"):
        convert(tmp_path / "strange.keras")


def _renamed(config: dict[str, Any]) -> dict[str, Any]:
    config["config"]["layers"][1] |= {"class_name": "Mine", "module": "mine", "registered_name": "mine>Mine"}
    return config


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_damaged_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(ForebayError, match=f"{name!r} is no Keras model, or is damaged"):
        convert(tmp_path / name)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")  # as above
def test_on_pytorch_the_same_models_and_files_are_published(tmp_path: Path) -> None:
    """A recurrent layer of any length, which PyTorch would unroll, is exported by a child on TensorFlow."""
    classifier().save(tmp_path / "model.keras")
    classifier().save(tmp_path / "model.h5")
    told = tell_of("torch", tmp_path, "classifier", "reader", "house", "file", "old file")
    assert (told.pop("before"), told.pop("after")) == ("torch", "torch")
    assert [name for name, said in told.items() if isinstance(said, str)] == []
    assert told["classifier"]["evidence"]["outputs"]["label"] == {"equal": 1.0}
    assert told["reader"]["inputs"] == [["x", "FP32", [-1, -1]]]
    assert {name for name, _, _ in told["house"]["outputs"]} == {"price", "kind"}
    assert all("(torch)" in said["evidence"]["source"] for said in told.values())


def test_a_backend_that_is_not_installed_is_named_with_the_line_to_type(tmp_path: Path) -> None:
    classifier().save(tmp_path / "model.keras")
    code = "import sys; from forebay.workshop.convert import convert; convert(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"],
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Unsupported: Keras is set to run on jax, which is missing; type: pip install jax" in done.stderr


def test_on_a_backend_that_exports_nothing_a_child_does_it(tmp_path: Path) -> None:
    """JAX is such a backend, and OpenVINO another."""
    told = tell_of("openvino", tmp_path, "classifier")
    assert (told["before"], told["after"]) == ("openvino", "openvino")
    assert told["classifier"]["evidence"]["rows_off"] == 0

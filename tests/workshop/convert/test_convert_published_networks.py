"""Every kind of network is published, deployed, and asked over a real node, and answers as its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import keras
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer

import forebay
from forebay.core import Tensors
from forebay.core.errors import NotFound
from support.instance import Instance
from support.keras_models import ROWS, classifier
from support.shell import Shell
from support.tiny_networks import Decides, Pictures
from support.tiny_transformers import TEXTS, mood, saved, tokenizer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy"),  # Keras, saving
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),  # as some people have
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),  # torch's own
]
FLOATS = ROWS.astype(np.float32)
FOURS = FLOATS[:, :4]


class Case(NamedTuple):
    """What is published and how, the rows that are asked, and what the source says to them.

    From memory by Python, with keywords; from a disk by the command line, with words.
    """

    model: Any
    how: dict[str, Any] | list[str]
    inputs: Tensors
    expected: Tensors


def in_keras(save: Callable[[Any, Path], None] | None, name: str) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        model = classifier("gelu", None)
        expected = np.asarray(keras.ops.softmax(model(FLOATS, training=False)))
        if save is not None:
            save(model, folder / name)
        if save is None:
            how = {"labels": ["a", "b", "c"], "sample": ROWS}
            return Case(model, how, {"x": FLOATS}, {"probabilities": expected})
        words = [word for label in "abc" for word in ("--label", label)]
        return Case(folder / name, words, {"x": FLOATS}, {"probabilities": expected})

    return make


def pictures(_: Path) -> Case:
    module = Pictures().eval()
    sample = torch.rand(20, 1, 8, 8)
    with torch.no_grad():
        expected = torch.softmax(module(sample), 1).numpy()
    how = {"sample": sample, "labels": list("0123456789")}
    return Case(module, how, {"image": sample.numpy()}, {"probabilities": expected})


def program(folder: Path) -> Case:
    module = Decides().eval()
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(
        torch.export.export(module, (torch.from_numpy(FOURS),), dynamic_shapes=shapes), folder / "net.pt2"
    )
    return Case(folder / "net.pt2", [], {"input": FOURS}, decided(module))


def weights(folder: Path) -> Case:
    module = Decides().eval()
    save_file(module.state_dict(), folder / "net.safetensors")
    np.save(folder / "rows.npy", FOURS)
    words = ["--sample", str(folder / "rows.npy"), "--class", "support.tiny_networks:Decides"]
    return Case(folder / "net.safetensors", words, {"input": FOURS}, decided(module))


def decided(module: Any) -> Tensors:
    with torch.no_grad():
        return {"output": module(torch.from_numpy(FOURS)).numpy()}


def texts(folder: Path) -> Case:
    model = mood()
    encoding = tokenizer()(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = torch.softmax(model(**encoding).logits, 1).numpy()
    inputs = {name: values.numpy() for name, values in encoding.items()}
    (folder / "rows.csv").write_text("\n".join(["text", *TEXTS]))
    words = ["--sample", str(folder / "rows.csv")]
    return Case(saved(model, folder / "mood"), words, inputs, {"probabilities": expected})


CASES: dict[str, Callable[[Path], Case]] = {
    "keras": in_keras(None, ""),
    "keras-file": in_keras(lambda model, path: model.save(path), "model.keras"),
    "keras-h5": in_keras(lambda model, path: model.save(path), "model.h5"),
    "saved-model": in_keras(
        lambda model, path: model.export(path, format="tf_saved_model", verbose=False), "folder"
    ),
    "torch": pictures,
    "torch-program": program,
    "torch-weights": weights,
    "transformers": texts,
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One hub and one node for all of them."""
    instance = Instance(tmp_path_factory.mktemp("networks") / "home")
    instance.up()
    yield instance
    instance.down()


@pytest.mark.parametrize("name", CASES)
def test_it_answers_over_the_node_as_in_its_framework(name: str, running: Instance, tmp_path: Path) -> None:
    case = CASES[name](tmp_path)
    with forebay.connect(running.hub_url, key=running.admin_key) as hub:
        if isinstance(case.how, dict):
            hub.publish(case.model, name, **case.how)
        else:
            Shell.on(running).json("publish", str(case.model), "--name", name, *case.how)
        version = hub.show(name)
        hub.deploy(name, version)
        assert version.evidence[0]["rows_off"] == 0
        assert hub.sample(name)
    for rows in (1, 3, len(next(iter(case.inputs.values())))):
        got = over_http(running, name, {input_: values[:rows] for input_, values in case.inputs.items()})
        for output, expected in case.expected.items():
            np.testing.assert_allclose(got[output], expected[:rows], atol=1e-5)
            if output == "probabilities":
                assert got["label"].tolist() == best_of(version, expected[:rows])


def test_texts_are_encoded_by_the_tokenizer_that_the_version_keeps(running: Instance, tmp_path: Path) -> None:
    """What an application developer does who has never seen the model's folder."""
    model = mood()
    with forebay.connect(running.hub_url, key=running.admin_key) as hub:
        version = hub.publish(saved(model, tmp_path / "texts"), "texts")
        hub.deploy("texts", version)
        assert version.evidence[0]["tokenizer"] == "tokenizer.json"
        words = Tokenizer.from_str(hub.file("texts", "tokenizer.json").decode())
        words.enable_padding()
        encodings = words.encode_batch(TEXTS)
        answers = hub.predict(
            "texts",
            {
                "input_ids": [encoding.ids for encoding in encodings],
                "attention_mask": [encoding.attention_mask for encoding in encodings],
                "token_type_ids": [encoding.type_ids for encoding in encodings],
            },
        )
        with pytest.raises(NotFound, match=r"has no file 'vocab\.txt'"):
            hub.file("texts", "vocab.txt")
    pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer())
    assert answers.labels.tolist() == [found["label"] for found in pipeline(TEXTS)]


def best_of(version: Any, probabilities: Any) -> list[str]:
    columns = next(spec.columns for spec in version.signature.outputs if spec.name == "probabilities")
    return [columns[best] for best in probabilities.argmax(1)]


def over_http(running: Instance, name: str, inputs: Tensors) -> dict[str, Any]:
    """The answer of the Open Inference Protocol, as anybody's client gets it."""
    datatypes = {"f": "FP32", "i": "INT64"}
    body = {
        "inputs": [
            {
                "name": input_,
                "shape": list(values.shape),
                "datatype": datatypes[values.dtype.kind],
                "data": values.ravel().tolist(),
            }
            for input_, values in inputs.items()
        ]
    }
    answer = httpx.post(
        f"{running.node_url}/v2/models/{name}/infer",
        json=body,
        headers={"authorization": f"Bearer {running.admin_key}"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return {
        output["name"]: np.array(output["data"]).reshape(output["shape"])
        for output in answer.json()["outputs"]
    }

"""Encoders and classifiers of transformers: tokenizer kept, classes named, any number and length of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.workshop.convert import Converted, convert, verify
from forebay.workshop.convert.running import answer, opened
from support.tiny_transformers import SIZES, TEXTS, mood, saved, tokenizer

pytestmark = pytest.mark.slow


def asked(converted: Converted, **inputs: Any) -> Any:
    with opened(converted.files, converted.info) as backend:
        return answer(backend, inputs)


def test_a_folder_becomes_a_classifier_of_any_number_of_texts_of_any_length(tmp_path: Path) -> None:
    model = mood()
    converted = convert(saved(model, tmp_path / "mood"), TEXTS)
    assert [(spec.name, spec.datatype.value, spec.shape) for spec in converted.signature.inputs] == [
        ("input_ids", "INT64", (-1, -1)),
        ("attention_mask", "INT64", (-1, -1)),
        ("token_type_ids", "INT64", (-1, -1)),
    ]
    label, probabilities = converted.signature.outputs
    assert (label.name, probabilities.columns) == ("label", ("bad", "good"))
    assert {"length 1", "length 38", "one row alone"} <= set(converted.evidence[0]["edges"])
    for texts in (TEXTS, TEXTS[:1], ["water is good " * 9]):
        encoding = tokenizer()(texts, padding=True, return_tensors="pt")
        with torch.no_grad():
            expected = torch.softmax(model(**encoding).logits, 1).numpy()
        got = asked(converted, **{name: values.numpy() for name, values in encoding.items()})
        np.testing.assert_allclose(got["probabilities"], expected, atol=1e-5)
        assert got["label"].tolist() == [("bad", "good")[best] for best in expected.argmax(1)]
    converted.save(tmp_path / "artifact")
    verify(tmp_path / "artifact")
    kept = json.loads((tmp_path / "artifact" / "tokenizer.json").read_bytes())
    assert kept["model"]["vocab"]["pump"] == 18


def test_a_pipeline_brings_its_tokenizer_and_a_model_takes_what_a_tokenizer_made() -> None:
    model = mood()
    pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer())
    encoding = tokenizer()(TEXTS, padding=True, return_tensors="np")
    by_pipeline, by_model = convert(pipeline, TEXTS), convert(model, encoding)
    assert by_pipeline.files["model.onnx"] == by_model.files["model.onnx"]
    assert "tokenizer.json" in by_pipeline.files
    assert "tokenizer.json" not in by_model.files


def test_a_folder_in_half_precision_is_served_in_float32_asked_with_a_table_of_texts(
    tmp_path: Path,
) -> None:
    folder = saved(mood().bfloat16(), tmp_path / "mood")
    (tmp_path / "rows.csv").write_text("stars,text\n5,a good day\n1,the pump is bad\n")
    converted = convert(folder, tmp_path / "rows.csv")
    assert converted.signature.outputs[1].datatype.value == "FP32"
    assert converted.evidence[0]["tolerance"] == 1e-4
    assert converted.sample["input_ids"].shape[0] == 2
    with pytest.raises(Malformed, match=r"\['stars', 'words'\]; give the one with the texts"):
        convert(folder, pd.DataFrame({"stars": [5], "words": ["a good day"]}))


def test_an_encoder_answers_its_hidden_states(tmp_path: Path) -> None:
    config = transformers.DistilBertConfig(
        vocab_size=20, dim=16, n_layers=1, n_heads=2, hidden_dim=32, max_position_embeddings=40
    )
    folder = saved(transformers.DistilBertModel(config), tmp_path / "encoder")
    converted = convert(folder)
    assert [spec.name for spec in converted.signature.inputs] == ["input_ids", "attention_mask"]
    [states] = converted.signature.outputs
    assert (states.name, states.shape) == ("last_hidden_state", (-1, -1, 16))
    assert converted.evidence[0]["sample"] == "texts made up here"


def test_a_classifier_of_words_names_the_entries_of_its_logits() -> None:
    config = transformers.BertConfig(**SIZES, id2label={0: "nothing", 1: "person", 2: "place"})
    encoding = tokenizer()(TEXTS, padding=True, return_tensors="np")
    [logits] = convert(transformers.BertForTokenClassification(config), encoding).signature.outputs
    assert (logits.name, logits.shape, logits.columns) == (
        "logits",
        (-1, -1, 3),
        ("nothing", "person", "place"),
    )


def test_a_classifier_of_pictures_takes_pictures() -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=16, patch_size=8, num_labels=3,
    )  # fmt: skip
    pictures = np.random.default_rng(0).random((3, 3, 16, 16))
    converted = convert(transformers.ViTForImageClassification(config), pictures)
    [pixels] = converted.signature.inputs
    assert (pixels.name, pixels.datatype.value, pixels.shape) == ("pixel_values", "FP32", (-1, 3, 16, 16))
    assert converted.signature.outputs[1].columns == ("LABEL_0", "LABEL_1", "LABEL_2")


def _writer() -> Any:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=20, n_embd=16, n_layer=1, n_head=2)
    )


@pytest.mark.parametrize(
    ("model", "sample", "error", "match"),
    [
        (_writer, np.array([[1, 2]]), Unsupported, "served as GGUF files"),
        (mood, TEXTS, Malformed, "came without its tokenizer"),
        (lambda: mood().bfloat16(), np.array([[1, 2]]), Unsupported, r"bfloat16.*model\.float\(\)"),
    ],
)
def test_what_cannot_be_served_is_refused(
    model: Any, sample: Any, error: type[ForebayError], match: str
) -> None:
    with pytest.raises(error, match=match):
        convert(model(), sample)


def test_a_folder_with_code_or_without_weights_is_refused(tmp_path: Path) -> None:
    folder = saved(mood(), tmp_path / "mood")
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "model.safetensors").unlink()
    with pytest.raises(Malformed, match="has no weights"):
        convert(folder)
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "mine.Model"}}))
    with pytest.raises(Unsupported, match=r"brings Python code of its own.*trust_remote_code=True"):
        convert(folder)


def test_with_trust_a_folder_with_code_is_converted_in_a_child_process(tmp_path: Path) -> None:
    model = transformers.BertModel(transformers.BertConfig(**SIZES)).eval()
    folder = saved(model, tmp_path / "mine")
    config = json.loads((folder / "config.json").read_bytes())
    config |= {"auto_map": {"AutoModel": "mine.Mine"}, "architectures": ["Mine"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(
        "from transformers import BertModel\n\n\nclass Mine(BertModel):\n"
        "    def forward(self, input_ids, attention_mask=None):\n"
        "        found = super().forward(input_ids, attention_mask)\n"
        "        return {'twice': found.pooler_output * 2}\n"
    )
    converted = convert(folder, TEXTS, trust=True)
    [twice] = converted.signature.outputs
    assert twice.name == "twice"
    assert "tokenizer.json" in converted.files
    encoding = tokenizer()(TEXTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        expected = model(**encoding).pooler_output.numpy() * 2
    got = asked(converted, **{name: values.numpy() for name, values in encoding.items()})["twice"]
    np.testing.assert_allclose(got, expected, atol=1e-5)

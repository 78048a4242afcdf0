"""Hugging Face transformers: encoders and classifiers, as a folder, a model or a pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from forebay.core import Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.core.extras import need
from forebay.workshop.convert.apart import must_be_apart
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.networks import draft_of, named
from forebay.workshop.convert.recognising import called, is_from
from forebay.workshop.convert.running import first_line
from forebay.workshop.convert.sources.torch_module import Module
from forebay.workshop.convert.sources.torch_running import check_precision, parameters_of_forward

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_WRITERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForSpeechSeq2Seq")
_OF_ROWS = ("ForSequenceClassification", "ForImageClassification")
_IDS, _MASK = "input_ids", "attention_mask"
_LONGEST = 128
_TEXT_COLUMNS = ("text", "texts", "sentence")
_TEXTS = (
    "Water stands at a steady head above the turbines.",
    "A short text.",
    "This sentence, which has no purpose but to be somewhat longer than the others, goes on and on.",
    "12 pumps, 3 gates; is everything in order?",
)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model and what makes its input of texts."""

    model: Any
    tokenizer: Any


class HuggingFace:
    """The source for what `transformers` saves and runs."""

    name = "Hugging Face transformers"

    def knows(self, model: object) -> bool:
        return isinstance(model, _Loaded) or is_from(model, "transformers")

    def reads(self, path: Path) -> bool:
        config = path / "config.json"
        return config.is_file() and "model_type" in _read(config)

    def runs_code(self, path: Path) -> str | None:
        if "auto_map" not in _read(path / "config.json"):
            return None
        return (
            f"{path} brings Python code of its own (auto_map in config.json); where you trust it, publish "
            f"the model: hub.publish(AutoModel.from_pretrained({str(path)!r}, trust_remote_code=True), "
            f"name={path.name!r}, sample=…), or run: forebay publish {path} --name {path.name} --trust"
        )

    def load(self, path: Path) -> Any:
        transformers = need("transformers", "transformers")
        need("torch", "transformers")
        if not any((path / name).is_file() for name in _WEIGHTS):
            raise Malformed(f"{path} has no weights; it needs one of {', '.join(_WEIGHTS)}")
        trusted = self.runs_code(path) is not None
        if trusted:
            must_be_apart(path)
        maker = _maker(transformers, _read(path / "config.json"))
        try:
            model = maker.from_pretrained(
                path,
                local_files_only=True,
                trust_remote_code=trusted,
                dtype="float32",  # many folders hold half precision, in which a CPU is slow
            )
        except Exception as error:  # a damaged folder fails in many ways
            raise Malformed(f"{path} cannot be loaded: {first_line(error)}") from error
        return _Loaded(model, _tokenizer(transformers, path))

    def draft(self, model: Any, given: Given) -> Draft:
        need("onnxscript", "transformers")
        loaded = model if isinstance(model, _Loaded) else _taken_apart(model)
        if type(loaded.model).__name__.endswith(_WRITERS):
            raise Unsupported(
                f"a {type(loaded.model).__name__} writes text, word after word, and this serves encoders and "
                "classifiers; such models are served as GGUF files"
            )
        check_precision(loaded.model)
        given = replace(given, sample=_column(given.sample))
        rows = _rows(loaded, given)
        draft = draft_of(_network(loaded, rows), rows, given, rows_from="texts made up here")
        kept = {"tokenizer": _TOKENIZER[0]} if _TOKENIZER[0] in draft.files else {}
        return replace(draft, evidence={**draft.evidence, **kept})


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise Malformed(f"{path} is no JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _maker(transformers: Any, config: Mapping[str, Any]) -> Any:
    architectures = config.get("architectures") or [""]
    return getattr(transformers, str(architectures[0]), None) or transformers.AutoModel


def _tokenizer(transformers: Any, path: Path) -> Any:
    if not any((path / name).is_file() for name in (*_TOKENIZER, "vocab.txt", "vocab.json")):
        return None
    try:
        return transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:  # as above
        raise Malformed(f"the tokenizer in {path} cannot be loaded: {first_line(error)}") from error


def _taken_apart(model: Any) -> _Loaded:
    """A pipeline knows its tokenizer; a model by itself takes numbers."""
    if hasattr(model, "model") and hasattr(model, "tokenizer") and hasattr(model, "task"):
        return _Loaded(model.model, model.tokenizer)
    if not hasattr(model, "forward"):
        raise Unsupported(f"a {called(model)} is no network; publish the model, or the pipeline")
    return _Loaded(model, None)


def _rows(loaded: _Loaded, given: Given) -> Tensors:
    sample = _TEXTS if given.sample is None and _takes_texts(loaded.model) else given.sample
    if sample is None:
        raise Malformed("the model does not say which shapes it takes; pass sample=…, as it takes them")
    if _are_texts(sample):
        sample = _encoded(loaded, [str(text) for text in sample])
    names = parameters_of_forward(loaded.model)
    main = loaded.model.main_input_name
    names = [main, *(name for name in names if name != main)]
    rows = named(sample, names, "the model")
    if _takes_texts(loaded.model):
        rows.setdefault(_MASK, np.ones_like(rows[_IDS]))
        return {
            name: values.astype(np.int64) if values.dtype.kind in "iub" else values
            for name, values in rows.items()
        }
    return {
        name: values.astype(np.float32) if values.dtype.kind == "f" else values
        for name, values in rows.items()
    }


def _column(sample: Any) -> Any:
    """The texts of a frame that has one column, or one that is called so, and of a series; else as it is."""
    if hasattr(sample, "columns"):
        names = list(sample.columns)
        text = next((name for name in names if str(name).lower() in _TEXT_COLUMNS), None)
        if text is None and len(names) > 1:
            raise Malformed(
                f"the sample has the columns {names}; give the one with the texts, or call it text"
            )
        sample = sample[names[0] if text is None else text]
    return sample.to_list() if hasattr(sample, "to_list") else sample


def _takes_texts(model: Any) -> bool:
    return str(model.main_input_name) == _IDS


def _are_texts(sample: Any) -> bool:
    if (
        isinstance(sample, str | bytes | Mapping)
        or not hasattr(sample, "__getitem__")
        or hasattr(sample, "keys")
    ):
        return False
    return len(sample) > 0 and isinstance(sample[0], str)


def _encoded(loaded: _Loaded, texts: Sequence[str]) -> Tensors:
    if loaded.tokenizer is None:
        raise Malformed(
            "the model came without its tokenizer; publish the folder or the pipeline, or pass "
            "sample=tokenizer(texts, padding=True, return_tensors='np')"
        )
    longest = min(_LONGEST, _positions(loaded.model))
    encoding = loaded.tokenizer(
        list(texts), padding=True, truncation=True, max_length=longest, return_tensors="np"
    )
    known = parameters_of_forward(loaded.model)
    return {name: np.asarray(values) for name, values in encoding.items() if name in known}


def _positions(model: Any) -> int:
    """The longest input; RoBERTa's kin count positions from after the padding's number."""
    most = int(getattr(model.config, "max_position_embeddings", 0) or _LONGEST)
    return max(1, most - 2 if most > 2 else most)


def _network(loaded: _Loaded, rows: Tensors) -> Any:
    import transformers  # noqa: PLC0415 (heavy)

    model = loaded.model
    sequences = {name: (1,) for name, values in rows.items() if values.ndim == 2 and _takes_texts(model)}
    origin = f"transformers {transformers.__version__} {type(model).__name__}"
    by_row, by_entry = _labels(model)
    return Module(model, list(rows), sequences).network(
        origin,
        longest=min(_LONGEST, _positions(model)),
        labels=by_row,
        columns={"logits": by_entry} if by_entry else {},
        files=_tokenizer_files(loaded.tokenizer),
    )


def _labels(model: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of a row, of which one is true, and else those that name the entries of the logits."""
    known = getattr(model.config, "id2label", None) or {}
    labels = tuple(str(known[number]) for number in sorted(known))
    kind, problem = type(model).__name__, getattr(model.config, "problem_type", None)
    if kind.endswith(_OF_ROWS) and problem != "regression" and len(labels) > 1:
        return ((), labels) if problem == "multi_label_classification" else (labels, ())
    return (), labels if kind.endswith("ForTokenClassification") else ()


def _tokenizer_files(tokenizer: Any) -> dict[str, bytes]:
    """What whoever calls the model needs to make its input of texts."""
    if tokenizer is None:
        return {}
    with TemporaryDirectory(prefix="forebay-") as folder:
        tokenizer.save_pretrained(folder)
        return {
            name: (Path(folder) / name).read_bytes() for name in _TOKENIZER if (Path(folder) / name).is_file()
        }

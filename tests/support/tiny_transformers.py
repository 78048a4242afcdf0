"""Small models of `transformers`, with a tokenizer of twenty words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PLAIN = [
    "water",
    "stands",
    "a",
    "short",
    "text",
    "good",
    "bad",
    "day",
    "the",
    "of",
    "is",
    "and",
    "gate",
    "pump",
]
WORDS = [*SPECIAL, *PLAIN, "open"]
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
TEXTS = ["a good day", "the pump is bad and the gate is open", "water"]


def tokenizer() -> Any:
    """Words as BERT takes them, with [CLS] and [SEP] around."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: PLC0415 (heavy)
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 (heavy)

    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def mood() -> Any:
    """Says whether a text is good or bad, at random, but clearly."""
    import torch  # noqa: PLC0415 (heavy)
    from transformers import BertConfig, BertForSequenceClassification  # noqa: PLC0415 (heavy)

    torch.manual_seed(0)
    names = {0: "bad", 1: "good"}
    config = BertConfig(
        **SIZES, id2label=names, label2id={name: at for at, name in names.items()}, initializer_range=1.0
    )
    return BertForSequenceClassification(config).eval()


def saved(model: Any, folder: Path, *, words: bool = True) -> Path:
    """The folder that `save_pretrained` writes."""
    model.save_pretrained(folder)
    if words:
        tokenizer().save_pretrained(folder)
    return folder

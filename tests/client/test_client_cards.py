"""A card that nobody wrote says what is known."""

from __future__ import annotations

from typing import Any

from forebay.client.cards import card_for
from forebay.core import ArtifactInfo, DataType, Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", DataType.FP32, (-1, 3)),), (TensorSpec("y", DataType.FP32, (-1, 3)),))


def test_what_a_file_says_about_itself_is_kept_in_the_card() -> None:
    evidence: list[dict[str, Any]] = [
        {"kind": "parity", "rows": 8, "metadata": {"author": "somebody", "character": "a\nb\n" * 999}},
        {"kind": "verification"},
    ]
    card = card_for("scaler", ArtifactInfo(SIGNATURE), evidence)
    assert "## Metadata\n\n- author: somebody\n- character: a b a b" in card
    assert " …\n" in card
    assert len(card) < 1000


def test_where_an_mlflow_run_left_a_model_is_kept_too() -> None:
    evidence = [{"kind": "parity", "mlflow": {"flavour": "sklearn", "run_id": "4b49"}}]
    assert "- flavour: sklearn\n- run_id: 4b49" in card_for("m", ArtifactInfo(SIGNATURE), evidence)


def test_code_says_that_it_is_code_and_what_it_needs() -> None:
    info = ArtifactInfo(SIGNATURE, backend="python", model="code/a.py", entry="a:f")
    card = card_for("f", info, [{"kind": "parity", "requirements": ["numpy==2.4.6"]}])
    assert "Serving it runs Python of its owner's, with:\n\n- `numpy==2.4.6`" in card
    assert "nothing but Python" in card_for("f", info, [])


def test_a_plain_model_has_neither() -> None:
    card = card_for("m", ArtifactInfo(SIGNATURE), [{"kind": "parity", "rows": 8}])
    assert "## Metadata" not in card
    assert "## Code" not in card

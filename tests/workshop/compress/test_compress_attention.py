"""An encoder of transformers loses heads and blocks, and little else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forebay.core.errors import Unsupported
from forebay.workshop.compress import STEPS, Rows, Source, inputs_of
from forebay.workshop.compress.drafts import Draft
from forebay.workshop.compress.graphs import weights_of
from forebay.workshop.compress.steps.heads import attentions, cut
from forebay.workshop.compress.steps.running import floats_of
from forebay.workshop.convert import convert
from support.compressing import accuracy, bench_of, digits, held_out
from support.encoders import taught_encoder

BY_NAME = {step.name: step for step in STEPS}
TUNE, TEST = np.arange(300), np.arange(300, 1097)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A BERT of two layers and four heads that reads digits line by line."""
    images, labels = digits()
    folder = tmp_path_factory.mktemp("encoder")
    model = taught_encoder(images[:700], labels[:700].astype(np.int64))
    convert(model, images[:64], labels=[str(digit) for digit in range(10)]).save(folder)
    return Source.at(Path(folder))


def rows_for(source: Source, places: Any) -> Rows:
    rows = held_out().take(places)
    return Rows(inputs_of(source.info, rows.inputs["x"]), rows.truth)


def test_heads_are_found_with_their_projections(encoder: Source) -> None:
    found = attentions(encoder.draft().proto())
    assert [(each.heads, each.width, len(each.parts)) for each in found] == [(4, 8, 3)] * 2


def test_all_heads_kept_are_the_same_network(encoder: Source) -> None:
    rows = rows_for(encoder, np.arange(20)).inputs
    whole = cut(encoder.draft(), [[0, 1, 2, 3]] * 2)
    np.testing.assert_allclose(floats_of(whole, rows), floats_of(encoder.draft(), rows), atol=1e-5)


@pytest.mark.parametrize(("name", "points"), [("heads-3/4", 10), ("heads-1/2-tuned", 10)])
def test_fewer_heads_make_thinner_projections_and_lose_little(
    name: str, points: float, encoder: Source
) -> None:
    draft = BY_NAME[name].make(encoder.draft(), bench_of(encoder, rows_for(encoder, TUNE)))
    kept = 3 if name == "heads-3/4" else 2
    proto = draft.proto()
    assert [each.heads for each in attentions(proto)] == [kept] * 2
    weights = weights_of(proto)
    assert {weights[part.product.input[1]].shape for each in attentions(proto) for part in each.parts} == {
        (32, 8 * kept)
    }
    assert lost(encoder, draft) < points


def test_an_encoder_loses_a_block_and_learns_again(encoder: Source) -> None:
    draft = BY_NAME["blocks-3/4"].make(encoder.draft(), bench_of(encoder, rows_for(encoder, TUNE)))
    assert len(draft.graph) < len(encoder.draft().graph)
    assert lost(encoder, draft) < 10


def lost(source: Source, draft: Draft) -> float:
    before, after = (accuracy(source, each, rows_for(source, TEST)) for each in (source.draft(), draft))
    return 100 * (before - after)


def test_where_there_is_no_attention_no_head_can_go(dense: Source) -> None:
    with pytest.raises(Unsupported, match="no attention with heads"):
        BY_NAME["heads-3/4"].make(dense.draft(), bench_of(dense, held_out().take(TUNE)))

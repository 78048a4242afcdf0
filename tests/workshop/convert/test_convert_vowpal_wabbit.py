"""Vowpal Wabbit's linear models become ONNX, crosses included; what cannot is served by itself, as code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vowpalwabbit import Workspace

from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.serving.runtime import Budget
from forebay.workshop.convert import convert
from forebay.workshop.convert.sources.vw_lines import Feature, read_line, tensors_of
from support.asking import asked

COLORS = ("red", "green", "blue")


def lines(count: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    found = []
    for n in range(count):
        width, height, depth = draw.random(3)
        found.append(f"|a width:{width:.4f} height:{height:.4f} |b color={COLORS[n % 3]} depth:{depth:.4f}")
    return found


@contextmanager
def taught(options: str, examples: list[str]) -> Iterator[Any]:
    """A workspace that has learnt *examples*."""
    vw = Workspace(f"--quiet {options}")
    try:
        for number, line in enumerate(examples):
            vw.learn(f"{1 if number % 3 else -1} {line}")
        yield vw
    finally:
        vw.finish()


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-q ab",
        "-q aa",
        "--interactions ab",
        "--loss_function logistic --link logistic -q ab",
        "--noconstant",
        "--bit_precision 12 --l2 0.001",
    ],
)
def test_a_workspace_becomes_a_graph_that_answers_alike(options: str) -> None:
    with taught(options, lines(200)) as vw:
        converted = convert(vw, lines(60, seed=1))
    assert [spec.name for spec in converted.signature.inputs] == ["width", "height", "color", "depth"]
    evidence = converted.evidence[0]
    assert (evidence["rows"], evidence["rows_off"]) == (60, 0)
    assert evidence["outputs"]["prediction"]["max_difference"] < 1e-5


def test_numbers_alone_travel_as_one_matrix_with_named_columns() -> None:
    numbers = [f"|a u:{n % 7} v:{n % 5 / 5} |b u:{n % 3}" for n in range(50)]
    with taught("-q ab", numbers) as vw:
        converted = convert(vw, numbers)
    [x] = converted.signature.inputs
    assert (x.name, x.columns) == ("x", ("a^u", "v", "b^u"))


@pytest.mark.slow
def test_a_saved_model_answers_over_a_node_as_it_does_at_home(tmp_path: Path) -> None:
    with taught("-q ab --loss_function logistic", lines(300)) as vw:
        expected = [vw.predict(line) for line in lines(9, seed=2)]
        vw.save(str(tmp_path / "shop.vw"))
    converted = convert(tmp_path / "shop.vw", lines(30, seed=1))
    features = [Feature("a", "width", False), Feature("a", "height", False)]
    features += [Feature("b", "color", True), Feature("b", "depth", False)]
    rows = tensors_of([read_line(line) for line in lines(9, seed=2)], features)
    with asked(converted, tmp_path / "node") as ask:
        np.testing.assert_allclose(ask(rows)["prediction"].ravel(), expected, atol=1e-5)


def test_names_come_from_the_readable_model_beside_the_file(tmp_path: Path) -> None:
    readable, binary = tmp_path / "shop.txt", tmp_path / "shop.vw"
    with taught(f"-f {binary} --invert_hash {readable}", lines(100)):
        pass
    few = [line.replace("green", "red").replace("blue", "red") for line in lines(5)]
    converted = convert(binary, few)
    assert converted.evidence[0]["weights"] == 6
    readable.unlink()
    with pytest.raises(Unsupported, match="2 weights are of features that no line of the sample has"):
        convert(binary, few)


@pytest.mark.slow
def test_another_kind_of_model_is_served_by_itself_as_code(tmp_path: Path) -> None:
    vw = Workspace("--quiet --oaa 3")
    for number, line in enumerate(lines(90)):
        vw.learn(f"{number % 3 + 1} {line}")
    expected = [vw.predict(line) for line in lines(6, seed=3)]
    converted = convert(vw, lines(10, seed=1))
    vw.finish()
    assert converted.info.code
    assert set(converted.files) == {
        f"code/{name}" for name in ("model.vw", "published.py", "requirements.txt")
    }
    with asked(converted, tmp_path, budget=Budget(code=True, call_s=30.0)) as ask:
        got = ask({"line": np.array(lines(6, seed=3), dtype=object)})
    assert got["label"].tolist() == expected


@pytest.mark.parametrize(
    ("options", "examples", "told"),
    [
        ("--cubic aaa", lines(20), "only pairs become ONNX"),
        ("", ["|a:2 width:1"], "has a weight of its own"),
        ("", ["|a color=red color=blue"], "has 'color' twice"),
        ("", ["|a color=red:3"], "is a text with a weight"),
        ("", ["no features"], "give some lines as Vowpal Wabbit reads them"),
        ("", [], "give some lines as Vowpal Wabbit reads them"),
    ],
)
def test_what_has_no_place_in_a_graph_is_told(options: str, examples: list[str], told: str) -> None:
    with taught(options, lines(20)) as vw, pytest.raises(ForebayError, match=told):
        convert(vw, examples)


def test_a_binary_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    with taught("", lines(20)) as vw:
        vw.save(str(tmp_path / "shop.vw"))
    content = (tmp_path / "shop.vw").read_bytes()
    (tmp_path / "shop.vw").write_bytes(content[:40])
    with pytest.raises(Malformed, match="Vowpal Wabbit itself refuses the model"):
        convert(tmp_path / "shop.vw", lines(3))

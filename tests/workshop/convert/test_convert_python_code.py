"""A function or a class of somebody's travels as source with its packages pinned, and is served as code."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forebay.core import Array, DataType
from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.serving.runtime import Budget
from forebay.workshop.convert import Converted, convert, verify
from support import toys
from support.asking import asked

CODE = Budget(code=True, call_s=30.0)
RATE = 0.5
RATES = {"de": 0.19, "ch": 0.081}
WEIGHTS = np.arange(3)


def discounted(prices: Array) -> Array:
    return prices * (1 - RATE)


def gross(prices: Array, lands: Array) -> dict[str, Array]:
    taxes = np.array([RATES.get(land, 0.0) for land in lands])
    return {"gross": discounted(prices) * (1 + taxes), "land": np.char.upper(lands.astype(str))}


class Rounder:
    def __init__(self) -> None:
        self.digits = 1

    def predict(self, x: Array) -> Array:
        return np.array([math.floor(value * 10**self.digits) for value in x])


class WithState:
    def __init__(self, weights: Array) -> None:
        self.weights = weights

    def predict(self, x: Array) -> Array:
        return x * self.weights


def source_of(converted: Converted) -> str:
    text = converted.files["code/published.py"]
    assert isinstance(text, bytes)
    return text.decode()


@pytest.mark.slow
def test_a_function_is_served_with_what_it_uses_of_its_module(tmp_path: Path) -> None:
    sample = {"prices": np.array([10.0, 20.0]), "lands": np.array(["de", "xx"])}
    converted = convert(gross, sample)
    assert (converted.info.backend, converted.info.entry) == ("python", "published:gross")
    assert [(s.name, s.datatype, s.shape) for s in converted.signature.inputs] == [
        ("prices", DataType.FP64, (-1,)),
        ("lands", DataType.BYTES, (-1,)),
    ]
    assert [(s.name, s.datatype) for s in converted.signature.outputs] == [
        ("gross", DataType.FP64),
        ("land", DataType.BYTES),
    ]
    evidence = converted.evidence[0]
    assert (evidence["kind"], evidence["code"], evidence["rows_off"]) == ("parity", True, 0)
    assert evidence["requirements"] == [f"numpy=={version('numpy')}"]
    with asked(converted, tmp_path, budget=CODE) as ask:
        got = ask({"prices": np.array([100.0]), "lands": np.array(["ch"], dtype=object)})
    assert got["gross"][0] == pytest.approx(54.05)
    assert got["land"][0] == "CH"


@pytest.mark.slow
def test_a_class_is_made_once_and_its_predict_answers(tmp_path: Path) -> None:
    converted = convert(Rounder, pl.DataFrame({"x": [0.25, 1.75]}).to_series().to_numpy())
    [output] = converted.signature.outputs
    assert (output.name, output.datatype, output.shape) == ("label", DataType.INT64, (-1,))
    with asked(converted, tmp_path, budget=CODE) as ask:
        assert ask({"x": np.array([3.14])})["label"].tolist() == [31]


@pytest.mark.slow
def test_columns_of_a_frame_name_what_a_function_takes(tmp_path: Path) -> None:
    frame = pl.DataFrame({"width": [1.0, 2.0], "height": [3.0, 4.0]})
    converted = convert(total, frame)
    assert converted.signature.inputs[0].columns == ("width", "height")
    converted.save(tmp_path)
    info, evidence = verify(tmp_path)
    assert info.code
    assert evidence["rows"] == "none: the hub runs no code"


def total(rows: Array) -> Array:
    return np.asarray(rows.sum(axis=1))


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


SCORER = """
from pathlib import Path
import numpy as np
from helpers import shifted

class Scorer:
    def __init__(self):
        self.weights = np.loadtxt(Path(__file__).parent / "weights.txt")

    def predict(self, x):
        return shifted(x @ self.weights)
"""


@pytest.mark.slow
def test_a_folder_travels_with_its_files_and_names_its_entry(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "mine",
        scoring_DOT_py=SCORER,
        helpers_DOT_py="def shifted(x):\n    return x + 1\n",
        weights_DOT_txt="1\n2\n",
        requirements_DOT_txt="httpx  # for nothing\n",
    )
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "scoring.pyc").write_bytes(b"old")
    converted = convert(folder, np.ones((2, 2)), entry="scoring:Scorer", requirements=["orjson"])
    assert set(converted.files) == {
        f"code/{name}" for name in ("scoring.py", "helpers.py", "weights.txt", "requirements.txt")
    }
    assert converted.evidence[0]["requirements"] == [
        f"{name}=={version(name)}" for name in ("httpx", "numpy", "orjson")
    ]
    with asked(converted, tmp_path / "node", budget=CODE) as ask:
        assert ask({"x": np.array([[1.0, 10.0]])})["prediction"].tolist() == [22.0]


def nested() -> Callable[[Array], Array]:
    factor = 3

    def times(x: Array) -> Array:
        return x * factor

    return times


@pytest.mark.slow
def test_constants_around_a_function_inside_another_are_written_down() -> None:
    converted = convert(nested(), np.array([1.0]))
    assert "factor = 3" in source_of(converted)


def with_weights(x: Array) -> Array:
    return x * WEIGHTS


def with_own_module(x: Array) -> Any:
    return toys.__name__, x


def broken(x: Array) -> Array:
    raise RuntimeError(f"no {x}")


def short(x: Array) -> Array:
    return x[:1]


@pytest.mark.parametrize(
    ("model", "sample", "told"),
    [
        (lambda x: x, np.ones(2), "a lambda has no name"),
        (with_weights, np.ones(3), "uses 'WEIGHTS', a ndarray, which cannot be written down"),
        (with_own_module, np.ones(3), "uses 'toys' of your own module support.toys"),
        (WithState(WEIGHTS), np.ones(3), "is an object with a state, which does not travel as source"),
        (WithState, np.ones(3), "WithState cannot be made without arguments"),
        (broken, np.ones(3), "broken itself fails on the sample: no "),
        (short, np.ones(3), "the code answers 1 predictions to 3 rows; answer one for each row"),
        (discounted, None, "some rows are needed"),
        (gross, np.ones(3), r"the code takes \['prices', 'lands'\]; give a sample of each"),
        (gross, {"prices": np.ones(3)}, r"the code takes \['lands'\] too"),
        (gross, {"prices": np.ones(3), "lands": np.array(["de"])}, "different numbers of rows"),
        (np.linalg.norm, np.ones(3), "norm belongs to the installed package numpy"),
    ],
)
def test_what_cannot_travel_as_source_is_told(model: Any, sample: Any, told: str) -> None:
    with pytest.raises((Malformed, Unsupported), match=told):
        convert(model, sample)


@pytest.mark.parametrize(
    ("text", "entry", "told"),
    [
        ("def f(x):\n    return x\n", "scoring", "names no function; write module:name"),
        ("def f(x):\n    return x\n", "other:f", "the folder has no module 'other'"),
        ("def f(x:\n", "scoring:f", "a module of the code is no Python"),
        pytest.param("", "scoring:f", "has no attribute 'f'", marks=pytest.mark.slow),
        pytest.param(
            "def f(x):\n    return 1 / 0\n",
            "scoring:f",
            "scoring:f fails on the sample",
            marks=pytest.mark.slow,
        ),
        pytest.param("def f(x):\n    return 7\n", "scoring:f", "is a single value", marks=pytest.mark.slow),
    ],
)
def test_a_folder_whose_entry_does_not_work_is_refused(
    text: str, entry: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ForebayError, match=told):
        convert(write(tmp_path, scoring_DOT_py=text), {"x": np.ones(3)}, entry=entry)


def test_a_package_that_is_not_here_cannot_be_pinned() -> None:
    with pytest.raises(Malformed, match="nosuchpackage is not installed here"):
        convert(discounted, np.ones(2), requirements=["nosuchpackage"])
    with pytest.raises(Malformed, match="'numpy>=1' is not pinned"):
        convert(discounted, np.ones(2), requirements=["numpy>=1"])


@pytest.mark.slow
def test_a_node_that_may_run_no_code_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    converted = convert(discounted, np.ones(2))
    with (
        asked(converted, tmp_path) as ask,
        pytest.raises(AssertionError, match=r"cannot be loaded: .* FOREBAY_ALLOW_CODE=true"),
    ):
        ask({"prices": np.ones(1)})
    assert "FOREBAY_ALLOW_CODE=true on a node lets it run such code" in caplog.text


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (("code/published.py", "def other(): pass"), "defines no 'discounted'"),
        (("code/published.py", "def ("), "'code/published.py' is no Python"),
        (("code/requirements.txt", "numpy>=2"), "'numpy>=2' is not pinned"),
        (("run.py", "print(1)"), "'run.py' is code or a pickle"),
    ],
)
@pytest.mark.slow
def test_code_is_looked_at_before_it_is_kept(damage: tuple[str, str], told: str, tmp_path: Path) -> None:
    convert(discounted, np.ones(2)).save(tmp_path)
    (tmp_path / damage[0]).write_text(damage[1])
    with pytest.raises(Malformed, match=told):
        verify(tmp_path)

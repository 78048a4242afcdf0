"""Files of the frameworks, published from a shell, asked and shown."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import joblib
import pytest
import xgboost as xgb
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from support.instance import Instance
from support.shell import Shell

pytestmark = pytest.mark.slow

IRIS = load_iris(as_frame=True)
FLOWER = (
    '{"sepal length (cm)": 5.1, "sepal width (cm)": 3.5, "petal length (cm)": 1.4, "petal width (cm)": 0.2}'
)


@pytest.fixture
def shell(shared_forebay: Instance) -> Shell:
    """A terminal on the machine of a running Forebay."""
    return Shell.on(shared_forebay)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A table as people have it: the columns that the model knows, and one more."""
    IRIS.frame.to_csv(tmp_path / "rows.csv", index=False)
    return str(tmp_path / "rows.csv")


@pytest.fixture
def booster(tmp_path: Path) -> str:
    """A model in XGBoost's own file."""
    xgb.XGBClassifier(n_estimators=5).fit(IRIS.data, IRIS.target).save_model(tmp_path / "iris.ubj")
    return str(tmp_path / "iris.ubj")


def test_a_booster_in_a_file_answers_by_the_names_of_its_columns_and_classes(
    shell: Shell, booster: str, rows: str
) -> None:
    labels = [word for name in IRIS.target_names for word in ("--label", str(name))]
    version = shell.json("publish", booster, "--name", "boosted", "--sample", rows, *labels)
    assert (version["model"], version["version"]) == ("boosted", 1)
    shell.run("deploy", "boosted")
    [answer] = shell.json("predict", "boosted", "--input", "-", stdin=FLOWER)["outputs"]
    assert answer["label"] == "setosa"
    assert set(answer["probabilities"]) == {"setosa", "versicolor", "virginica"}
    shown = shell.run("show", "boosted").stdout
    assert re.search(r"like XGBoost \S+ XGBClassifier .* 0 of them off", " ".join(shown.split()))


def test_a_version_keeps_no_row_if_its_owner_says_so(shell: Shell, booster: str, rows: str) -> None:
    shell.run("publish", booster, "--name", "discreet", "--sample", rows, "--forget-sample")
    shell.run("deploy", "discreet")
    refused = shell.run("predict", "discreet", check=False)
    assert refused.returncode == 1
    assert "published without sample rows" in refused.stderr


def test_a_pickle_is_refused_with_the_line_that_then_works(shell: Shell, rows: str, tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
    joblib.dump(model, tmp_path / "iris.joblib")
    refused = shell.run("publish", str(tmp_path / "iris.joblib"), "--name", "pickled", check=False)
    assert refused.returncode == 1
    line = re.search(r"run: forebay (publish .* --trust);", refused.stderr)
    assert line is not None
    arguments = line[1].replace("ROWS.csv", rows).split()
    assert shell.json(*arguments)["version"] == 1


def test_rows_are_needed_for_the_proof(shell: Shell, booster: str) -> None:
    refused = shell.run("publish", booster, "--name", "unproved", check=False)
    assert refused.returncode == 1
    assert "real rows are needed to prove the conversion with" in refused.stderr


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            ["publish", "absent.onnx", "--name", "x"],
            "there is no absent.onnx in {here}; give the path of a file or",
        ),
        (
            ["publish", ".", "--name", "x", "--sample", "rows.csv"],
            "there is no rows.csv in {here}; give the path of a file",
        ),
        (["publish", ".", "--name", "x", "--card", "."], ". is a folder; give the path of a file"),
        (
            ["train", "/absent.csv", "--target", "y"],
            "there is no /absent.csv; give the path of a file or a folder",
        ),
        (["train", "--script", "train.py"], "there is no train.py in {here}; give the path of a file"),
        (["compress", "x", "--data", "rows.csv"], "there is no rows.csv in {here}; give the path of a file"),
        (["predict", "x", "--input", "rows.csv"], "there is no rows.csv in {here}; give the path of a file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_path_that_does_not_exist_is_told_in_one_sentence(
    typed: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Shell({}).refused(*typed).startswith(f"forebay: {told.format(here=tmp_path)}")


def test_an_archive_is_refused_with_what_to_do_and_nothing_else(tmp_path: Path, shell: Shell) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("model.onnx", b"x")
    line = shell.refused("publish", str(tmp_path / "model.zip"), "--name", "zipped")
    assert line.endswith("model.zip is an archive (zip); unpack it, and publish what is inside")

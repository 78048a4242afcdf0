"""A shell's day, against a real hub and a real node, on both databases."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import forebay
from support.instance import Done, Instance, until
from support.shell import Shell

pytestmark = pytest.mark.slow

IRIS, SPECIES = load_iris(return_X_y=True)
TRAINING = ("--target", "species", "--estimator", "logistic-regression")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model's name that no other test has."""
    return f"m{abs(hash(request.node.nodeid)) % 10**9}"


def flowers_in(folder: Path) -> Path:
    """A table with a text to predict."""
    path = folder / "Flowers.csv"
    columns = {f"c{i}": IRIS[:, i] for i in range(4)} | {"species": np.array(["a", "b", "c"])[SPECIES]}
    pl.DataFrame(columns).write_csv(path)
    return path


def saved_in(folder: Path) -> Path:
    """An artifact folder, as `forebay.convert(…).save(…)` writes it."""
    forebay.convert(LogisticRegression(max_iter=500).fit(IRIS, SPECIES), IRIS).save(folder)
    return folder


@pytest.fixture
def shell(shared_forebay: Instance) -> Shell:
    """A terminal on the machine of a running Forebay."""
    return Shell.on(shared_forebay)


def test_where_costs_count_a_training_shows_the_front_that_nobody_beats(
    shell: Shell, name: str, tmp_path: Path
) -> None:
    typed = ["train", str(flowers_in(tmp_path)), "--target", "species", "--name", name]
    printed = shell.run(*typed, "--objective", "latency", "--objective", "size").stdout
    head, *lines = printed.rstrip().partition("\n\n")[2].splitlines()
    assert head.split() == ["estimator", "params", "macro_f1", "seconds", "latency_ms", "size_bytes"]
    version = shell.json("show", name)
    [contest] = [entry for entry in version["evidence"] if entry["kind"] == "cross-validation"]
    front = {one["estimator"] for one in contest["candidates"] if one.get("pareto")}
    assert {line.split()[0] for line in lines} == front
    sizes = [int(line.split()[-1]) for line in lines]
    everyone = [one for one in contest["candidates"] if one.get("state", "done") == "done"]
    assert min(sizes) == min(one["size_bytes"] for one in everyone)


@pytest.fixture(scope="module")
def trained(shared_forebay: Instance, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Done]:
    """A model that was trained from a table and deployed, and what the training printed."""
    table = flowers_in(tmp_path_factory.mktemp("data"))
    shell = Shell.on(shared_forebay)
    done = shell.run("train", str(table), *TRAINING)
    shell.run("deploy", "flowers")
    return "flowers", done


@pytest.fixture(scope="module")
def published(shared_forebay: Instance, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that was published from a folder and deployed."""
    folder = saved_in(tmp_path_factory.mktemp("saved"))
    shell = Shell.on(shared_forebay)
    shell.run("publish", str(folder), "--name", "published")
    shell.run("deploy", "published")
    return "published"


def test_from_a_table_to_a_prediction_in_three_lines(shell: Shell, trained: tuple[str, Done]) -> None:
    name, done = trained
    assert name in done.stdout
    assert "Next: forebay deploy flowers:" in done.stderr
    assert len(done.stderr.splitlines()) > 3  # the steps, as they happened
    answer = shell.json("predict", name)
    assert {"model", "version", "outputs"} <= set(answer)
    assert {row["label"] for row in answer["outputs"]} <= {"a", "b", "c"}


def test_the_report_of_a_training_is_a_page_for_a_browser(
    shell: Shell, trained: tuple[str, Done], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    shell.json("show", trained[0], "--report", str(page))
    assert "Where it comes from" in page.read_text("utf-8")


def test_a_version_that_was_not_trained_has_no_report(shell: Shell, published: str, tmp_path: Path) -> None:
    line = shell.refused("show", published, "--report", str(tmp_path / "report.html"))
    assert "only trainings and compressions write one" in line


def test_training_answers_with_the_version_for_programs(shell: Shell, tmp_path: Path, name: str) -> None:
    made = shell.json("train", str(flowers_in(tmp_path)), *TRAINING, "--name", name)
    assert (made["model"], made["version"]) == (name, 1)


def test_a_training_that_cannot_work_says_why_in_one_line(shell: Shell, tmp_path: Path) -> None:
    line = shell.refused("train", str(flowers_in(tmp_path)), "--target", "colour", "--name", "x")
    assert "colour" in line
    assert "forebay jobs log" in line


def test_ctrl_c_leaves_the_training_alone_and_says_how_to_look_at_it(
    shared_forebay: Instance, shell: Shell, tmp_path: Path, name: str
) -> None:
    table = str(flowers_in(tmp_path))
    command = [sys.executable, "-m", "forebay", "train", table, *TRAINING, "--name", name]
    with subprocess.Popen(
        command, env=shared_forebay.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as typed:
        assert typed.stderr is not None
        while "prepare" not in typed.stderr.readline():  # the first words of the job itself
            assert typed.poll() is None
        typed.send_signal(signal.SIGINT)
        out, err = typed.communicate(timeout=20)
    assert (typed.returncode, out) == (130, "")
    line = err.splitlines()[-1]
    assert "goes on" in line
    job_id = line.split("`forebay jobs wait ")[1].split("`")[0]
    assert shell.json("jobs", "wait", job_id)["state"] == "succeeded"


def test_a_folder_is_published_with_its_card_and_lineage(shell: Shell, name: str, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("# Iris\nTold by its owner.\n")
    saved = saved_in(tmp_path / "saved")
    made = shell.json("publish", str(saved), "--name", name, "--card", str(card), "--lineage", "data=iris")
    assert (made["version"], made["lineage"]["data"]) == (1, "iris")
    shown = shell.run("show", name).stdout
    assert "Told by its owner." in shown
    assert "x FP32 [-1, 4]" in shown
    assert shell.json("show", f"{name}:1")["card"] == card.read_text()


def test_a_pickle_is_refused_with_the_line_to_type(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    path.write_bytes(b"whatever")
    line = shell.refused("publish", str(path), "--name", "x")
    assert f"publish(joblib.load('{path}'), name='model', sample=X)" in line


def test_deploy_prints_a_call_that_works_when_it_is_pasted(
    shared_forebay: Instance, shell: Shell, published: str
) -> None:
    printed = shell.run("deploy", published).stdout
    line = next(line for line in printed.splitlines() if line.startswith("curl "))
    assert shared_forebay.admin_key not in line
    pasted = line.replace("curl ", "curl -sS --fail ", 1)
    done = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["model"] == published


def test_rows_come_from_files_and_from_pipes(shell: Shell, trained: tuple[str, Done], tmp_path: Path) -> None:
    name, _ = trained
    table = "c0,c1,c2,c3\n5.1,3.5,1.4,0.2\n"
    for stdin in (table, "[[5.1, 3.5, 1.4, 0.2]]", '{"c0": 5.1, "c1": 3.5, "c2": 1.4, "c3": 0.2}'):
        answer = shell.json("predict", name, "--input", "-", stdin=stdin)
        assert [row["label"] for row in answer["outputs"]] == ["a"]
    printed = shell.run("predict", name, "--input", "-", stdin=table).stdout.splitlines()
    assert printed[0].split()[:2] == ["row", "label"]
    assert printed[1].split()[:2] == ["0", "a"]
    assert "species" in shell.refused("predict", name, "--input", str(flowers_in(tmp_path)))


def test_versions_aliases_and_traffic(shell: Shell, name: str, tmp_path: Path) -> None:
    for _ in range(2):
        shell.run("publish", str(saved_in(tmp_path)), "--name", name)
    assert [entry["version"] for entry in shell.json("versions", name)] == [1, 2]
    assert "active" in shell.run("versions", name).stdout
    assert name in shell.run("models").stdout
    assert shell.json("alias", f"{name}:1", "champion")["version"] == 1
    assert [(each["name"], each["version"]) for each in shell.json("alias", name)] == [("champion", 1)]
    assert "champion" in shell.run("alias", name).stdout
    assert shell.json("deploy", f"{name}@champion")["targets"][0]["version"] == 1
    assert shell.json("deploy", f"{name}:1", "--pin")["pin"] is True
    shared = shell.run("deploy", name, "--weights", "1=3,2=1").stdout
    assert "1 (75%), 2 (25%)" in shared
    assert f"{name} " in shell.run("deployments").stdout
    assert "deploy" in shell.refused("retire", f"{name}:2")
    shell.run("undeploy", name)
    shell.run("alias", f"{name}@champion", "--delete")
    assert "which alias" in shell.refused("alias", name, "--delete")
    assert shell.json("alias", name) == []
    assert shell.json("retire", f"{name}:2") == {"retired": f"{name}:2"}


def test_a_secret_is_all_that_a_script_gets_and_it_works(
    shared_forebay: Instance, shell: Shell, published: str, name: str
) -> None:
    made = shell.run("keys", "create", name, "--model", published)
    secret = made.stdout.strip()
    theirs = Shell({"FOREBAY_URL": shared_forebay.hub_url, "FOREBAY_KEY": secret})
    row = "[[5.1, 3.5, 1.4, 0.2]]"
    assert theirs.json("predict", published, "--input", "-", stdin=row)["outputs"]
    assert "may not" in theirs.refused("models")
    key = next(key for key in shell.json("keys") if key["name"] == name)
    assert key["id"] in made.stderr
    assert key["id"] in shell.run("keys").stdout
    shell.run("keys", "revoke", key["id"])
    assert "unknown, expired or revoked" in theirs.refused("predict", published, "--input", "-", stdin=row)


def test_a_narrowed_key_is_rotated_and_both_secrets_answer(
    shared_forebay: Instance, shell: Shell, published: str, name: str
) -> None:
    scope = (
        "--model",
        f"{published[:-1]}*",
        "--protocol",
        "rows",
        "--network",
        "127.0.0.0/8",
        "--may",
        "predict",
    )
    made = shell.json("keys", "create", name, *scope, "--expires", "30d")
    assert (made["models"], made["protocols"]) == ([f"{published[:-1]}*"], ["rows"])
    assert (made["networks"], made["actions"]) == (["127.0.0.0/8"], ["predict"])
    fresh = shell.json("keys", "rotate", made["id"], "--overlap", "1h")
    ended = shell.json("keys", "create", f"{name}-brief", "--expires", "1s")

    def status(secret: str, path: str) -> int:
        rows = IRIS[:1].tolist()
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.post(
            f"{shared_forebay.node_url}{path}", json=rows, headers=headers, trust_env=False
        ).status_code

    for key in (made, fresh):
        until(lambda key=key: status(key["secret"], f"/predict/{published}") == 200)  # type: ignore[misc]
        assert status(key["secret"], f"/v2/models/{published}/infer") == 403
    until(lambda: status(ended["secret"], f"/predict/{published}") == 401)
    shell.run("keys", "revoke", made["id"])
    for key in (made, fresh):
        until(lambda key=key: status(key["secret"], f"/predict/{published}") == 401)  # type: ignore[misc]
    assert "no key" in shell.refused("keys", "rotate", made["id"], "--overlap", "0")


def test_what_was_asked_is_in_the_bill(shell: Shell, published: str) -> None:
    shell.run("predict", published)

    def groups() -> dict[str, int]:
        return {row["group"]: row["requests"] for row in shell.json("usage", "--since", "1h")["items"]}

    until(lambda: groups().get(published, 0) >= 1)
    assert f"{published}:1" in shell.run("usage", "--by", "version").stdout
    assert shell.json("usage", "--until", "2020-01-01")["items"] == []
    verified = shell.json("usage", "verify")
    assert (verified["events"] > 0, verified["faults"]) == (True, [])
    assert "no faults" in shell.run("usage", "verify").stdout
    assert shell.json("plans")[0]["name"] == "default"
    assert "default" in shell.run("plans").stdout


def test_slow_work_and_nodes_can_be_looked_at(shell: Shell, published: str) -> None:
    job = next(j for j in shell.json("jobs") if (j["result"] or {}).get("model") == published)
    assert "succeeded" in shell.run("jobs", "show", job["id"]).stdout
    told = shell.json("jobs", "log", job["id"])
    assert told == shell.json("jobs", "log", job["id"], "--follow")
    assert (told["id"], told["events"][-1]["state"]) == (job["id"], "succeeded")
    for words in (["jobs", "log", job["id"]], ["jobs", "log", job["id"], "--follow"]):
        assert "the job is succeeded" in shell.run(*words).stdout
    assert "succeeded" in shell.run("jobs", "wait", job["id"]).stdout
    assert "succeeded" in shell.refused("jobs", "cancel", job["id"])
    assert job["id"] in shell.run("jobs").stdout
    assert [node["alive"] for node in shell.json("nodes")] == [True]
    assert "ready" in shell.run("nodes").stdout


def test_projects_are_made_and_worked_in(shell: Shell, name: str, tmp_path: Path) -> None:
    shell.run("projects", "create", name)
    assert name in shell.run("projects").stdout
    made = shell.json("publish", str(saved_in(tmp_path)), "--name", "theirs", "--project", name)
    assert made["project"] == name
    assert [model["name"] for model in shell.json("models", "--project", name)] == ["theirs"]
    assert "curl" not in shell.run("deploy", "theirs", "--project", name).stdout
    assert "no project" in shell.refused("models", "--project", "nobodys")

"""`forebay doctor` finds each of the eleven commonest mistakes, made for real, and says how to mend it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sqlalchemy import create_engine, text

import forebay
from forebay.app.doctor import CHECKS
from forebay.app.doctor.here import JOBS_EXTRA, JOBS_NEED, installed_extras
from forebay.core import new_key
from support.instance import Instance, until

pytestmark = pytest.mark.slow


@pytest.fixture
def still(tmp_path: Path) -> Instance:
    """A home from which nothing runs."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Instance(home)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A hub and a node for the tests that leave them as they were."""
    instance = Instance(tmp_path_factory.mktemp("doctor") / "home")
    instance.up()
    yield instance
    instance.down()


def examined(instance: Instance, *, before: Sequence[str] = (), **environ: str) -> dict[str, Any]:
    """What the doctor finds, asked as a person would; *before* goes in front of the command."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "forebay", "doctor", "--json"],
        env=instance.environ | environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    found: dict[str, Any] = answer["findings"]
    failed = any(finding["state"] == "fail" for finding in found.values())
    assert (done.returncode, answer["healthy"]) == ((1, False) if failed else (0, True))
    return found


def assert_found(findings: dict[str, Any], check: str, what: str, mend: str) -> None:
    assert findings[check]["state"] == "fail", findings
    assert what in findings[check]["what"]
    assert mend in findings[check]["mend"]


def test_a_healthy_forebay_is_called_healthy(up: Instance) -> None:
    findings = examined(up)
    assert {finding["state"] for finding in findings.values()} == {"ok"}, findings
    assert list(findings) == list(CHECKS)


def test_before_the_first_start_nothing_has_failed(still: Instance) -> None:
    findings = examined(still)
    assert {name for name, finding in findings.items() if finding["state"] != "ok"} == {"hub", "nodes"}
    assert findings["hub"]["state"] == "warn"
    assert findings["hub"]["mend"] == "`forebay up` starts one"


def test_a_person_sees_a_table(still: Instance) -> None:
    shown = still.run("doctor").stdout
    assert "permissions" in shown
    assert "`forebay up` starts one" in shown


def test_a_taken_port_is_found(still: Instance) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        findings = examined(still, FOREBAY_HUB_PORT=str(port))
    assert_found(findings, "port", f"port {port} of 127.0.0.1 is taken", "--hub-port or FOREBAY_HUB_PORT")


def test_a_full_disk_is_found(still: Instance) -> None:
    small_disk = f'mount -t tmpfs -o size=8m forebay-test {still.home} && exec "$@"'
    findings = examined(still, before=["unshare", "--map-root-user", "--mount", "sh", "-c", small_disk, "sh"])
    assert_found(findings, "disk", "8 MiB are left", "free some space")


def test_a_key_that_others_can_read_is_found(still: Instance) -> None:
    key = still.home / "admin.key"
    key.write_text(new_key().secret)
    key.chmod(0o644)
    assert_found(examined(still), "permissions", f"others can read the key in {key}", f"chmod 600 {key}")


def test_a_file_that_is_not_ours_to_write_is_found(still: Instance) -> None:
    (still.home / "blobs").mkdir()
    (still.home / "blobs").chmod(0o500)
    before: list[str] = []
    if os.geteuid() == 0:  # root may write everywhere: look without root's powers
        before = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    assert_found(
        examined(still, before=before),
        "permissions",
        "is not ours to read and write",
        "sudo chown -R $(id -un)",
    )


def test_a_clock_that_is_off_is_found(up: Instance) -> None:
    findings = examined(up, before=["faketime", "-f", "+2h"])
    assert_found(findings, "clock", "this clock and the hub's differ by 7,2", "timedatectl set-ntp true")


def test_a_clock_that_was_set_back_is_found(still: Instance) -> None:
    (still.home / "hub.db.old").touch()
    findings = examined(still, before=["faketime", "-f", "-1d"])
    assert_found(findings, "clock", "was written 86,", "timedatectl set-ntp true")


def test_a_missing_extra_is_found(still: Instance, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.machinery as machinery\n"
        "found = machinery.PathFinder.find_spec\n"
        "hide = lambda name, *rest: None if name == 'skl2onnx' else found(name, *rest)\n"
        "machinery.PathFinder.find_spec = staticmethod(hide)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    findings = examined(still, PYTHONPATH=path)
    assert_found(findings, "extras", "skl2onnx cannot be imported", "pip install 'forebay[sklearn]'")


def test_the_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    offered = project["optional-dependencies"]
    modules = {line.split(">")[0].replace("scikit-learn", "sklearn") for line in offered[JOBS_EXTRA]}
    assert set(JOBS_NEED) == modules
    assert set(installed_extras()) == set(offered) - {"all"}


def test_a_database_of_another_release_is_found(still: Instance, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0000')"))
    engine.dispose()
    findings = examined(still, FOREBAY_DATABASE_URL=database_url)
    assert_found(findings, "database", "its tables are those of 0000", "`forebay up`")


def test_a_database_that_is_away_is_found(still: Instance) -> None:
    findings = examined(still, FOREBAY_DATABASE_URL="postgresql+psycopg://forebay@127.0.0.1:1/hub")
    assert_found(findings, "database", "the database", "mend what it says")


def test_a_hub_that_is_away_is_found(still: Instance) -> None:
    key = new_key().secret
    findings = examined(still, FOREBAY_URL="http://127.0.0.1:1", FOREBAY_KEY=key)
    assert_found(findings, "hub", "the hub at http://127.0.0.1:1 does not answer", "FOREBAY_URL")


def test_a_wrong_key_is_found(up: Instance) -> None:
    findings = examined(up, FOREBAY_KEY=new_key().secret)
    assert_found(findings, "key", "key", "`forebay keys create`")


def test_a_node_that_is_away_is_found(forebay_up: Instance) -> None:
    forebay_up.kill("node", signal.SIGSTOP)
    try:
        until(lambda: "was last heard of" in examined(forebay_up)["nodes"]["what"])
        findings = examined(forebay_up)
    finally:
        forebay_up.kill("node", signal.SIGCONT)
    assert_found(findings, "nodes", "was last heard of", "start it again")


def test_a_node_that_has_not_heard_the_news_is_found(up: Instance) -> None:
    report = {"name": "deaf", "url": "http://127.0.0.1:1", "release": "0", "snapshot": 0, "ready": True}
    key = (up.home / "node.key").read_text().strip()
    done = Event()

    def say_old_things() -> None:
        with httpx.Client(base_url=up.hub_url, headers={"Authorization": f"Bearer {key}"}) as client:
            while not done.wait(0.2):
                client.post("/api/v1/nodes/deaf/report", json=report).raise_for_status()

    with ThreadPoolExecutor() as pool:
        saying = pool.submit(say_old_things)
        try:
            until(lambda: any(node["name"] == "deaf" for node in up.json("nodes")))
            findings = examined(up)
        finally:
            done.set()
            saying.result()
            httpx.delete(
                f"{up.hub_url}/api/v1/nodes/deaf", headers={"Authorization": f"Bearer {up.admin_key}"}
            ).raise_for_status()
    assert_found(findings, "nodes", "node deaf has not heard of the last ", "node.log")


def test_a_damaged_blob_is_found(still: Instance) -> None:
    digest = "ab" * 32
    blob = still.home / "blobs" / "ab" / digest
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"these bytes have another digest")
    assert_found(examined(still), "artifacts", f"{blob} is damaged", "publish the version again")


def test_a_damaged_artifact_of_the_node_is_found(still: Instance) -> None:
    artifact = still.home / "node" / "artifacts" / ("ab" * 32)
    artifact.mkdir(parents=True)
    (artifact / "model.onnx").write_bytes(b"flipped")
    assert_found(examined(still), "artifacts", f"{artifact} is damaged", f"rm -r {artifact}")


def test_a_version_that_answers_without_proof_is_found(forebay_up: Instance, tmp_path: Path) -> None:
    rows, species = load_iris(return_X_y=True)
    for strength in (1, 2):
        model = LogisticRegression(C=strength, max_iter=500).fit(rows, species)
        forebay.convert(model, rows).save(tmp_path / f"{strength}")
        forebay_up.run("publish", str(tmp_path / f"{strength}"), "--name", "iris")
    forebay_up.run("keep", "iris", "accuracy>=-0.5", "--of", "1")
    forebay_up.run("deploy", "iris:1")
    assert examined(forebay_up)["promises"]["state"] == "ok"
    forebay_up.run("keep", "iris", "--clear", "--override", "to test the doctor")
    forebay_up.run("deploy", "iris:2")
    forebay_up.run("keep", "iris", "accuracy>=-0.5", "--of", "1")
    found = examined(forebay_up)["promises"]
    assert found["state"] == "warn"
    assert "iris keeps accuracy>=-0.5, and version 2 goes on answering without proof" in found["what"]
    assert "forebay compress iris:N" in found["mend"]

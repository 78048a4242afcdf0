"""A training script of somebody's own: what it may, what it is given, and what becomes of it."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from control.hub.work.test_work_crash import running
from forebay.control.access import Role
from forebay.control.hub.work.kinds import job_kinds
from forebay.control.jobs import Jobs, State
from forebay.control.registry import Registry
from forebay.control.store import Database, FolderBlobs
from forebay.core.errors import Unsupported
from support.flowers import ended, events_of, submit, upload
from support.hub import RunningHub
from support.toy_jobs import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TRAINS = """
import sys

import numpy as np
from sklearn.linear_model import LinearRegression

import forebay
from helper.rows import rows

run = forebay.run(slope=1.0, epochs=2)
X = rows(40)
for epoch in range(run["epochs"]):
    run.metric("loss", 1 / (epoch + 1), epoch=epoch)
print("to the log", sys.argv[1:])
run.progress(0.9, "nearly there")
run.publish(LinearRegression().fit(X, run["slope"] * X[:, 0]), sample=X, lineage={"by": "hand"})
"""
HELPER = "import numpy as np\n\n\ndef rows(n):\n    return np.random.default_rng(0).normal(size=(n, 2))\n"
COUNTS = """
import json
import time

import forebay

run = forebay.run()
path = run.kept("count.json")
start = json.loads(path.read_text()) if path else 0
run.log(f"going on at {start}")
for step in range(start, 6):
    with run.keep("count.json") as growing:
        growing.write_text(json.dumps(step + 1))
    run.progress((step + 1) / 6, f"step {step}")
    time.sleep(0.0 if start else 0.5)
"""

SLEEPS = """
import os
import time

import forebay

forebay.run().log(f"process {os.getpid()}")
time.sleep(600)
"""


def request(files: dict[str, str], **more: Any) -> dict[str, Any]:
    listed = [
        {"path": path, "size_bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for path, text in files.items()
    ]
    return {"name": "mine", "script": "train.py", "files": {"files": listed}, **more}


def ran(client: httpx.Client, files: dict[str, str], **more: Any) -> dict[str, Any]:
    for text in files.values():
        upload(client, text.encode())
    return ended(client, submit(client, "jobs", {"kind": "script", "request": request(files, **more)})["id"])


@pytest.fixture(scope="module")
def coder(working_hub: RunningHub) -> httpx.Client:
    return working_hub.holder(Role.CODER)


def test_a_script_trains_tells_and_publishes(working_hub: RunningHub, coder: httpx.Client) -> None:
    files = {"train.py": TRAINS, "helper/rows.py": HELPER}
    done = ran(coder, files, parameters={"slope": 3.0}, arguments=["--a", "b"])
    assert done["error"] is None
    version = working_hub.services.registry.versions("default", "mine")[-1]
    assert done["result"]["version"] == version.version
    assert version.lineage["by"] == "hand"
    assert version.lineage["parameters"] == {"slope": 3.0}
    assert any("parity" in str(entry) for entry in version.evidence)
    said = events_of(coder, done["id"])
    losses = [(event["epoch"], event["value"]) for event in said if event.get("name") == "loss"]
    assert losses == [(0, 1.0), (1, 0.5)]
    assert any(event.get("text") == "nearly there" for event in said)
    assert "to the log ['--a', 'b']" in coder.get(f"/api/v1/jobs/{done['id']}/log").text


def test_a_script_that_publishes_nothing_ends_well(coder: httpx.Client) -> None:
    done = ran(coder, {"train.py": "import forebay\nforebay.run().log('done')\n"})
    assert (done["state"], done["result"]) == ("succeeded", {})


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("import sys; sys.exit(7)", "train.py ended with exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", "train.py ended with exit code -9"),
        ("import forebay; forebay.run(depth=3)", "this script has no parameter slope; it has depth"),
        ("import forebay\nforebay.run()['depth']", "nobody gave depth; say --set depth=VALUE"),
        ("# /// script\n# dependencies = 3\n# ///\n", "the block `# /// script` of train.py is not right"),
        ('# /// script\n# requires-python = ">=9"\n# ///\n', "the script wants Python >=9"),
    ],
)
def test_a_script_that_fails_says_why(coder: httpx.Client, script: str, told: str) -> None:
    done = ran(coder, {"train.py": script}, parameters={"slope": 1.0})
    assert done["state"] == "failed"
    assert told in done["error"]


def test_a_script_sees_no_secret_and_not_the_database(coder: httpx.Client) -> None:
    looks = "import os\nprint('SEEN', sorted(name for name in os.environ if 'FOREBAY' in name))\n"
    done = ran(coder, {"train.py": looks})
    log = coder.get(f"/api/v1/jobs/{done['id']}/log").text
    assert "SEEN ['FOREBAY_RUN', 'FOREBAY_RUN_EVENTS']" in log


def test_a_script_gets_the_packages_that_it_names_for_itself(
    coder: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path, "greeting", "1.0", "word = 'hello from a package of its own'\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    asks = '# /// script\n# dependencies = ["greeting==1.0"]\n# ///\nimport forebay, greeting\n'
    done = ran(coder, {"train.py": asks + "forebay.run().log(greeting.word)\n"})
    assert done["error"] is None
    said = [event.get("text") for event in events_of(coder, done["id"])]
    assert "installing greeting==1.0" in said
    assert "hello from a package of its own" in said
    missing = ran(coder, {"train.py": asks.replace("greeting==1.0", "no-such-package-here")})
    assert "the script's environment cannot be made" in missing["error"]
    assert "no-such-package-here" in missing["error"]


def wheel(folder: Path, name: str, version: str, code: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", code)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def test_only_who_may_publish_code_runs_scripts(developer: httpx.Client) -> None:
    body = {"kind": "script", "request": request({"train.py": "pass"})}
    refused = developer.post("/api/v1/projects/default/jobs", json=body)
    assert refused.status_code == 403
    assert "may not code" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"script": "other.py"}, "the files have no script 'other.py'"),
        ({"files": {"files": []}}, "the files have no script 'train.py'"),
        ({"parameters": {"a": [1]}}, "the request does not fit"),
        ({"name": "No Name"}, "name"),
    ],
)
def test_a_request_that_cannot_work_is_refused(
    coder: httpx.Client, change: dict[str, Any], told: str
) -> None:
    body = {"kind": "script", "request": request({"train.py": "pass"}) | change}
    refused = coder.post("/api/v1/projects/default/jobs", json=body)
    assert refused.status_code in (400, 422)
    assert told in refused.json()["detail"]


def test_a_hub_runs_scripts_only_where_its_operator_says_so(database: Database, tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    jobs = Jobs(database, "", tmp_path / "jobs", job_kinds(blobs, Registry(database, blobs)))
    with pytest.raises(Unsupported, match="FOREBAY_ALLOW_CODE=1"):
        jobs.submit("default", "script", request({"train.py": "pass"}), "key")


def test_a_script_that_was_killed_goes_on_from_its_checkpoint(database: Database, tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    looking = Jobs(database, "", tmp_path / "jobs", job_kinds(blobs, Registry(database, blobs)))
    blobs.put([COUNTS.encode()], hashlib.sha256(COUNTS.encode()).hexdigest())

    def texts(job_id: str) -> list[str]:
        return [str(event.body.get("text")) for event in looking.events(job_id)]

    with running(database, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request({"train.py": COUNTS})).encode() + b"\n")
        process.stdin.flush()
        job_id = process.stdout.readline().decode().strip()
        wait_until(lambda: "step 1" in texts(job_id), "the second step", 60.0)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    with running(database, tmp_path):
        wait_until(lambda: looking.get(job_id).state.over, "the end", 90.0)
    assert looking.get(job_id).state is State.SUCCEEDED
    starts = [text for text in texts(job_id) if text.startswith("going on at")]
    assert starts[0] == "going on at 0"
    assert starts[1] >= "going on at 2"
    assert len(starts) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent was killed")
def test_a_script_does_not_outlive_the_hub(database: Database, tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    looking = Jobs(database, "", tmp_path / "jobs", job_kinds(blobs, Registry(database, blobs)))
    blobs.put([SLEEPS.encode()], hashlib.sha256(SLEEPS.encode()).hexdigest())

    def told(job_id: str) -> list[str]:
        said = [str(event.body.get("text")) for event in looking.events(job_id)]
        return [text.removeprefix("process ") for text in said if text.startswith("process ")]

    with running(database, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request({"train.py": SLEEPS})).encode() + b"\n")
        process.stdin.flush()
        job_id = process.stdout.readline().decode().strip()
        wait_until(lambda: bool(told(job_id)), "the script", 60.0)
        place = Path("/proc") / told(job_id)[0]
        assert place.exists()
        process.kill()
        process.wait(60)
        wait_until(lambda: not place.exists(), "the script's end", 10.0)

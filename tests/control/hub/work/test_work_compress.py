"""Compressing at the hub, over HTTP."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from forebay.control.access import Role
from forebay.core import DataType, Signature, TensorSpec
from support.artifacts import INFO, put_artifact
from support.flowers import ended, events_of, submit
from support.hub import RunningHub
from support.small_networks import artifact, parquet, put, registered
from support.toy_jobs import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
JOBS = "/api/v1/projects/default/jobs"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return artifact(tmp_path_factory.mktemp("network") / "artifact")


@pytest.fixture(scope="module")
def body(working_hub: RunningHub, network: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A request that comes to a good end."""
    services = working_hub.services
    registered(services.registry, services.blobs, network, "digits", recipe={"target": "digit"})
    data = parquet(tmp_path_factory.mktemp("data") / "eval.parquet")
    request = {
        "model": "digits",
        "data": {"sha256": put(services.blobs, data.read_bytes()), "format": "parquet"},
        "keep": "accuracy>=-4",
        "goal": "size",
        "slices": ["half"],
        "time_budget_s": 20.0,
    }
    return {"kind": "compress", "request": request}


def changed(body: dict[str, Any], **change: Any) -> dict[str, Any]:
    return body | {"request": body["request"] | change}


def version_of(client: httpx.Client, result: dict[str, Any]) -> dict[str, Any]:
    place = f"/api/v1/projects/default/models/{result['model']}/versions/{result['version']}"
    found: dict[str, Any] = client.get(place).json()
    return found


def test_a_smaller_version_is_registered_with_its_parent_and_its_evidence(
    working_hub: RunningHub, developer: httpx.Client, body: dict[str, Any]
) -> None:
    job = submit(developer, "jobs", body)
    assert job["request"]["model"] == "digits:1"
    assert job["request"]["target"] == "digit", "it was trained for it"
    done = ended(developer, job["id"], 120)
    assert (done["state"], done["error"]) == ("succeeded", None)
    assert done["result"]["sentence"].endswith("promise kept")
    small = version_of(developer, done["result"])
    parent = version_of(developer, {"model": "digits", "version": 1})
    assert (small["lineage"]["parent"], small["lineage"]["parent_digest"]) == ("digits:1", parent["digest"])
    assert small["lineage"]["data"]["sha256"] == body["request"]["data"]["sha256"]
    assert small["size_bytes"] < parent["size_bytes"]
    assert small["card"].startswith("# digits\n\ndigits:1, compressed by ")
    [entry] = [each for each in small["evidence"] if each["kind"] == "compression"]
    assert (entry["verdict"], entry["digest"], entry["source_digest"]) == (
        "kept",
        small["digest"],
        parent["digest"],
    )
    assert entry["keep"] == ["accuracy>=-4"]
    assert {line["name"] for line in entry["slices"]["half"]} == {"even", "odd"}
    events = events_of(developer, job["id"])
    tried = [event for event in events if event["kind"] == "candidate"]
    assert {"name", "outcome", "text", "reason"} <= set(tried[0])
    shares = [event["progress"] for event in events if "progress" in event]
    assert shares == sorted(shares)

    again = ended(developer, submit(developer, "jobs", body)["id"], 120)
    assert again["result"]["digest"] == small["digest"], "the same request gives the same version"
    told = [event.get("text", "") for event in events_of(developer, again["id"])]
    assert any("is made again, and nothing is searched" in text for text in told)
    assert len([each for each in events_of(developer, again["id"]) if each["kind"] == "candidate"]) == 1


def test_what_breaks_its_promise_is_not_registered(
    working_hub: RunningHub, developer: httpx.Client, body: dict[str, Any]
) -> None:
    before = working_hub.services.registry.model("default", "digits").versions
    job = submit(developer, "jobs", changed(body, keep="accuracy>=-0.01", goal="size", time_budget_s=25))
    done = ended(developer, job["id"], 120)
    assert (done["state"], done["result"]) == ("failed", None)
    verdict = re.search("; (.*); so no version was registered$", done["error"])
    assert verdict is not None, done["error"]
    assert verdict[1].startswith(
        ("promise accuracy>=-0.01 broken", "not enough data to promise accuracy>=-0.01")
    )
    assert working_hub.services.registry.model("default", "digits").versions == before
    page = developer.get(f"/api/v1/jobs/{job['id']}/report")
    assert page.headers["content-type"].startswith("text/html")
    assert "int8-static" in page.text or "fp16" in page.text
    assert "<svg" in page.text


def test_a_search_whose_process_is_killed_goes_on_where_it_was(
    developer: httpx.Client, body: dict[str, Any]
) -> None:
    job = submit(developer, "jobs", changed(body, seed=1, name="digits-again", time_budget_s=12))

    def tried() -> list[str]:
        return [event["name"] for event in events_of(developer, job["id"]) if event["kind"] == "candidate"]

    wait_until(lambda: len(tried()) >= 2, "two candidates", 60.0)
    done = tried()
    os.kill(searching(job["id"]), signal.SIGKILL)
    assert ended(developer, job["id"], 120)["state"] == "succeeded"
    events = events_of(developer, job["id"])
    texts = [event.get("text", "") for event in events]
    assert any(text.startswith("it was killed (SIGKILL)") for text in texts)
    assert not [name for name in done if texts.count(f"trying {name}") > 1], "nothing is tried twice"


def searching(job_id: str) -> int:
    """The process that works on a job's search."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"forebay.control.hub.work" in words and any(job_id.encode() in word for word in words):
                return int(entry.name)
    raise AssertionError("no process works on it")


def test_what_is_wrong_with_the_data_is_told_when_it_is_read(
    developer: httpx.Client, body: dict[str, Any]
) -> None:
    job = submit(developer, "jobs", changed(body, target="digits"))
    done = ended(developer, job["id"])
    assert done["state"] == "failed"
    assert done["error"] == "there is no column 'digits'; did you mean 'digit'?"
    page = developer.get(f"/api/v1/jobs/{job['id']}/report")
    assert (page.status_code, page.json()["detail"]) == (
        404,
        f"the compress job {job['id']!r} has left no report",
    )


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"keep": "acuracy>=-1"}, 400, "did you mean 'accuracy'?"),
        ({"keep": "accuracy[hand=left]>=-1"}, 400, "name it: --slice hand"),
        ({"goal": "speed"}, 400, "'speed' is nothing to compress for; there are latency"),
        ({"time_budget_s": 0}, 400, "a search needs time, not 0 s"),
        ({"data": {"sha256": "0" * 64, "format": "csv"}}, 400, "upload the data first"),
        ({"data": {"sha256": "0" * 64, "format": "images"}}, 400, "there is no format 'images'"),
        ({"model": "digits:9"}, 404, "has no version 9; it has"),
        ({"model": "digit"}, 404, "did you mean 'digits'?"),
        ({"name": "My Model"}, 400, "'My Model' is no model name"),
        ({"model": "coded"}, 501, "is Python code, which nothing can compress"),
        ({"model": "unknown-target"}, 400, "accuracy needs the right answers; name their column"),
        ({"model": "retired:1"}, 409, "version 1 of 'retired' is retired; choose another"),
        ({"model": "single"}, 501, "takes one row at a time"),
    ],
)
def test_what_can_never_work_is_refused_at_once(
    working_hub: RunningHub,
    developer: httpx.Client,
    body: dict[str, Any],
    odd_versions: None,
    change: dict[str, Any],
    status: int,
    told: str,
) -> None:
    answer = developer.post(JOBS, json=changed(body, **change))
    assert told in answer.json()["detail"]
    assert answer.status_code == status


@pytest.fixture(scope="module")
def odd_versions(working_hub: RunningHub, network: Path) -> None:
    """Versions that cannot be compressed, each for a reason of its own."""
    registry, blobs = working_hub.services.registry, working_hub.services.blobs
    registered(registry, blobs, network, "unknown-target")
    registered(registry, blobs, network, "retired", recipe={"target": "digit"})
    registry.retire("default", "retired", 1)
    one = TensorSpec("x", DataType.FP32, (1, 4))
    infos = {
        "coded": replace(INFO, backend="python", entry="scoring:predict", model="code/scoring.py"),
        "single": replace(INFO, signature=Signature((one,), (TensorSpec("y", DataType.FP32, (1, 1)),))),
    }
    for name, info in infos.items():
        registry.register_version(
            "default", name, put_artifact(blobs), info, "", {}, [], job_id=f"job-of-{name}"
        )


def test_a_key_for_one_model_compresses_no_other(
    working_hub: RunningHub, developer: httpx.Client, body: dict[str, Any]
) -> None:
    limited = working_hub.holder(Role.DEVELOPER, models=["mine"])
    answer = limited.post(JOBS, json=changed(body, name="mine", model="digits@champion"))
    assert (answer.status_code, answer.json()["detail"]) == (403, "this key may not use the model 'digits'")

"""Training at the hub, over HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from forebay.control.access import Role
from support.flowers import ended, flowers, submit, upload
from support.hub import RunningHub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def train_body(client: httpx.Client, **more: Any) -> dict[str, Any]:
    request = {
        "data": {"sha256": upload(client, flowers()), "format": "csv"},
        "target": "species",
        "name": "flowers",
        "estimator": "logistic-regression",
        "folds": 2,
    }
    return {"kind": "train", "request": request | more}


def streamed(client: httpx.Client, job_id: str, **params: Any) -> list[dict[str, Any]]:
    with client.stream("GET", f"/api/v1/jobs/{job_id}/events", params=params, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:")]


def test_a_csv_file_becomes_a_version_with_scores_card_and_lineage(developer: httpx.Client) -> None:
    job = submit(developer, "jobs", train_body(developer))
    assert (job["kind"], job["state"], job["result"]) == ("train", "queued", None)
    events = streamed(developer, job["id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["state"] for event in events if event["kind"] == "state"] == [
        "queued",
        "running",
        "succeeded",
    ]
    steps = [event["step"] for event in events if event["kind"] == "progress"]
    assert list(dict.fromkeys(steps)) == ["fetch", "prepare", "choose", "build", "register"]
    shares = [event["progress"] for event in events if "progress" in event]
    assert shares == sorted(shares)
    assert streamed(developer, job["id"], after=events[-3]["seq"]) == events[-2:]

    done = ended(developer, job["id"])
    assert (done["state"], done["progress"], done["error"]) == ("succeeded", 1.0, None)
    result = done["result"]
    assert (result["model"], result["estimator"]) == ("flowers", "logistic-regression")
    assert result["scores"]["accuracy"] > 0.9
    version = developer.get(f"/api/v1/projects/default/models/flowers/versions/{result['version']}").json()
    assert version["task"] == "classification"
    names = [spec["name"] for spec in version["signature"]["inputs"]]
    assert names == ["petal length", "petal width", "color"]
    assert version["card"].startswith("# flowers")
    assert version["lineage"]["recipe"]["estimator"] == "logistic-regression"
    assert [entry["kind"] for entry in version["evidence"]] == ["score", "cross-validation", "parity"]
    files = {file["path"] for file in version["files"]}
    assert files == {"forebay.json", "model.onnx", "report.html", "sample.json"}
    assert job["id"] in [one["id"] for one in developer.get("/api/v1/projects/default/jobs").json()["items"]]


def test_what_is_wrong_with_the_data_is_told_when_it_is_read(developer: httpx.Client) -> None:
    job = submit(developer, "jobs", train_body(developer, target="specie"))
    done = ended(developer, job["id"])
    assert done["state"] == "failed"
    assert done["error"] == "there is no column 'specie'; did you mean 'species'?"
    assert developer.get(f"/api/v1/jobs/{job['id']}/log").status_code == 200


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": {"sha256": "0" * 64}}, "upload the data first: there is no blob 000"),
        ({"data": {"sha256": "x"}}, "is no SHA-256 digest"),
        (
            {"data": {"sha256": "0" * 64, "format": "xlsx"}},
            "there is no format 'xlsx'; there is 'csv', 'parquet'",
        ),
        ({"name": "My Model"}, "'My Model' is no model name"),
        ({"estimator": "forest"}, "there is no estimator 'forest'; did you mean 'random-forest'?"),
        ({"trees": 7}, "the request does not fit: Object contains unknown field `trees`"),
        ({"folds": "many"}, "the request does not fit: Expected `int`, got `str` - at `$.folds`"),
        ({"held_out": 2}, "held_out is 2; give a share"),
    ],
)
def test_what_can_never_work_is_refused_at_once(
    developer: httpx.Client, change: dict[str, Any], told: str
) -> None:
    body = train_body(developer)
    answer = developer.post(
        "/api/v1/projects/default/jobs", json=body | {"request": body["request"] | change}
    )
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


def test_jobs_belong_to_their_project_and_their_keys(
    working_hub: RunningHub, developer: httpx.Client
) -> None:
    body = train_body(developer, target="nothing")
    job = submit(developer, "jobs", body)
    working_hub.services.access.create_project("neighbours")
    stranger = working_hub.holder(Role.DEVELOPER, "neighbours")
    asker = working_hub.holder(Role.INFERENCE)
    admin = working_hub.holder(Role.OPERATOR)
    limited = working_hub.holder(Role.DEVELOPER, models=["digits"])
    path = f"/api/v1/jobs/{job['id']}"
    assert stranger.get(path).status_code == 404
    assert stranger.post(f"{path}/cancel").status_code == 404
    assert asker.get(path).status_code == 403
    assert admin.get(path).json()["key_id"] == job["key_id"]
    assert limited.post("/api/v1/projects/default/jobs", json=body).status_code == 403
    ended(developer, job["id"])


def test_a_job_is_cancelled_over_http(developer: httpx.Client) -> None:
    job = submit(developer, "jobs", train_body(developer, estimator="auto", folds=20, name="slow"))
    path = f"/api/v1/jobs/{job['id']}"
    until = time.monotonic() + 60
    while developer.get(path).json()["step"] != "choose":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert developer.post(f"{path}/cancel").status_code == 200
    assert streamed(developer, job["id"])[-1]["state"] == "cancelled"
    assert ended(developer, job["id"])["state"] == "cancelled"
    again = developer.post(f"{path}/cancel")
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")
    assert developer.get("/api/v1/projects/default/models/slow").status_code == 404


def test_events_of_a_job_that_is_over_are_still_there(developer: httpx.Client) -> None:
    job = submit(developer, "jobs", train_body(developer, target="nothing"))
    ended(developer, job["id"])
    answer = developer.get(f"/api/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "1"})
    assert answer.text.startswith("id: 2\ndata: {")

"""A small data set, and what it takes to ask a hub for work over HTTP."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx
import numpy as np

from support.toy_jobs import wait_until


def flowers(rows: int = 150) -> bytes:
    """A CSV file: three kinds of flowers, told apart by their petals."""
    draw = np.random.default_rng(3)
    lines = ["petal length,petal width,color,species"]
    for row in range(rows):
        kind = row % 3
        length, width = draw.normal(2 + 2 * kind, 0.4), draw.normal(0.5 + kind, 0.2)
        color = ("white", "violet", "")[draw.integers(0, 3)]
        lines.append(f"{length:.2f},{width:.2f},{color},{('setosa', 'versicolor', 'virginica')[kind]}")
    return "\n".join(lines).encode()


def upload(client: httpx.Client, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    assert client.put(f"/api/v1/projects/default/blobs/{sha256}", content=content).status_code in (200, 201)
    return sha256


def submit(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/api/v1/projects/default/{path}", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['id']}"
    job: dict[str, Any] = answer.json()
    return job


def ended(client: httpx.Client, job_id: str, wait_s: float = 60.0) -> dict[str, Any]:
    def job() -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/api/v1/jobs/{job_id}").json()
        return found

    wait_until(lambda: job()["state"] not in ("queued", "running"), job_id, wait_s)
    return job()


def events_of(client: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    """Everything a job said until now."""
    page = client.get(f"/api/v1/jobs/{job_id}/events", params={"follow": False}).text
    return [
        json.loads(line.removeprefix("data: ")) for line in page.splitlines() if line.startswith("data: ")
    ]

"""Publishing what somebody made elsewhere, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from forebay.core import INFO_NAME, ArtifactInfo, Manifest
from forebay.workshop.convert import convert
from support.flowers import ended, submit, upload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = load_iris()
    folder = tmp_path_factory.mktemp("iris")
    convert(LogisticRegression(max_iter=500).fit(data.data, data.target), data.data).save(folder)
    return folder


def publish_body(client: httpx.Client, folder: Path) -> dict[str, Any]:
    manifest = Manifest.of_folder(folder)
    for entry in manifest.files:
        upload(client, (folder / entry.path).read_bytes())
    files: list[dict[str, Any]] = msgspec.to_builtins(manifest)["files"]
    said = {"card": "# Iris", "lineage": {"notebook": 7}, "evidence": [{"kind": "score", "accuracy": 0.97}]}
    return {"manifest": {"files": files}} | said


def test_an_artifact_is_checked_and_becomes_a_version(developer: httpx.Client, artifact: Path) -> None:
    job = submit(developer, "models/iris/versions", publish_body(developer, artifact))
    assert job["kind"] == "publish"
    done = ended(developer, job["id"])
    assert done["error"] is None
    version = developer.get(
        f"/api/v1/projects/default/models/iris/versions/{done['result']['version']}"
    ).json()
    assert version["digest"] == Manifest.of_folder(artifact).digest == done["result"]["digest"]
    assert (version["card"], version["lineage"]) == ("# Iris", {"notebook": 7})
    given, checked = version["evidence"]
    assert given == {"kind": "score", "accuracy": 0.97}
    assert (checked["kind"], checked["rows"], checked["batches"]) == ("verification", "sample", True)
    assert checked["latency_p50_ms"] > 0


def copied(artifact: Path, folder: Path) -> Path:
    for path in artifact.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_pickle_is_refused_by_name(developer: httpx.Client, artifact: Path, tmp_path: Path) -> None:
    (copied(artifact, tmp_path) / "model.pkl").write_bytes(b"\x80\x04.")
    job = submit(developer, "models/iris/versions", publish_body(developer, tmp_path))
    done = ended(developer, job["id"])
    assert done["state"] == "failed"
    assert done["error"].startswith("'model.pkl' is code or a pickle, which no server loads; leave it out")
    assert done["error"].endswith("forebay publish model.pkl --name NAME --sample ROWS.csv --trust")


def test_a_signature_that_is_not_the_models_is_refused(
    developer: httpx.Client, artifact: Path, tmp_path: Path
) -> None:
    info = ArtifactInfo.decode((copied(artifact, tmp_path) / INFO_NAME).read_bytes())
    [x] = info.signature.inputs
    wrong = msgspec.structs.replace(info.signature, inputs=(msgspec.structs.replace(x, shape=(-1, 5)),))
    (tmp_path / INFO_NAME).write_bytes(msgspec.structs.replace(info, signature=wrong).encode())
    job = submit(developer, "models/iris/versions", publish_body(developer, tmp_path))
    done = ended(developer, job["id"])
    assert "has the shape [-1, 5], the model says [-1, 4]" in done["error"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"path": "../hub.db"}, "is no plain path inside an artifact"),
        (
            {"sha256": "0" * 64},
            "upload these files first, they are missing or of another size: 'forebay.json'",
        ),
        ({"size_bytes": 1}, "upload these files first"),
        ({"path": "other.json"}, "the manifest has no forebay.json"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused_at_once(
    developer: httpx.Client, artifact: Path, change: dict[str, Any], told: str
) -> None:
    body = publish_body(developer, artifact)
    files = body["manifest"]["files"]
    body["manifest"]["files"] = [files[0] | change, *files[1:]]
    answer = developer.post("/api/v1/projects/default/models/iris/versions", json=body)
    assert answer.status_code == 400
    assert told in answer.json()["detail"]

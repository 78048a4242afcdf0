"""Python of somebody's is published only with a key that may, and is not run by the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from forebay.control.access import Role
from forebay.core import Array, Manifest
from forebay.workshop.convert import convert
from support.flowers import ended, submit, upload
from support.hub import RunningHub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def tenfold(x: Array) -> Array:
    return x * 10


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    convert(tenfold, np.arange(3.0)).save(folder)
    return folder


def publish_body(client: httpx.Client, folder: Path) -> dict[str, Any]:
    manifest = Manifest.of_folder(folder)
    for entry in manifest.files:
        upload(client, (folder / entry.path).read_bytes())
    files: list[dict[str, Any]] = msgspec.to_builtins(manifest)["files"]
    return {"manifest": {"files": files}}


def test_a_developer_may_not_publish_code_by_either_door(
    working_hub: RunningHub, developer: httpx.Client, artifact: Path
) -> None:
    body = publish_body(developer, artifact)
    doors = {
        "models/tenfold/versions": body,
        "jobs": {"kind": "publish", "request": body | {"name": "tenfold"}},
    }
    for door, asked in doors.items():
        refused = developer.post(f"/api/v1/projects/default/{door}", json=asked)
        assert refused.status_code == 403
        assert "forebay keys create --role coder NAME" in refused.json()["detail"]


def test_a_coder_publishes_code_which_is_marked_as_such_and_not_run(
    working_hub: RunningHub, artifact: Path
) -> None:
    coder = working_hub.holder(Role.CODER)
    done = ended(coder, submit(coder, "models/tenfold/versions", publish_body(coder, artifact))["id"])
    assert done["error"] is None
    version = coder.get("/api/v1/projects/default/models/tenfold/versions/1").json()
    assert (version["backend"], version["code"]) == ("python", True)
    assert version["evidence"][-1]["rows"] == "none: the hub runs no code"


def test_a_coder_may_not_make_a_key_for_more_than_code(working_hub: RunningHub) -> None:
    coder = working_hub.holder(Role.CODER)
    made = coder.post("/api/v1/projects/default/keys", json={"role": "coder"})
    assert made.status_code == 201
    developer = working_hub.holder(Role.DEVELOPER)
    refused = developer.post("/api/v1/projects/default/keys", json={"role": "coder"})
    assert refused.status_code == 403
    assert "a key of the role coder may code" in refused.json()["detail"]


def test_what_calls_itself_data_and_is_a_pickle_is_refused(
    developer: httpx.Client, artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "forebay.json").write_bytes((artifact / "forebay.json").read_bytes())
    info = msgspec.json.decode((tmp_path / "forebay.json").read_bytes())
    info |= {"backend": "onnxruntime", "model": "model.onnx"}
    del info["entry"], info["sample"]
    (tmp_path / "forebay.json").write_bytes(msgspec.json.encode(info))
    (tmp_path / "model.onnx").write_bytes(b"\x80\x04\x95\x10\0\0\0\0\0\0\0")
    done = ended(developer, submit(developer, "models/x/versions", publish_body(developer, tmp_path))["id"])
    assert done["error"] == "'model.onnx' is no ONNX model: it is a pickle"

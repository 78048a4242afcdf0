"""Blobs go up in a stream and come down to the nodes."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from forebay.control.access import Role
from forebay.control.hub.application import application
from forebay.control.hub.services import HubLimits, Services
from forebay.control.store import FolderBlobs
from support.artifacts import register
from support.hub import RunningHub, served

CONTENT = b"a model's weights" * 10_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PLACE = f"/api/v1/projects/default/blobs/{DIGEST}"


def in_chunks(content: bytes = CONTENT) -> Iterator[bytes]:
    yield from (content[start : start + 7_000] for start in range(0, len(content), 7_000))


@pytest.mark.parametrize("streamed", [True, False])
def test_a_blob_goes_up_and_is_there(hub: RunningHub, developer: httpx.Client, streamed: bool) -> None:
    assert developer.head(PLACE).status_code == 404
    first = developer.put(PLACE, content=in_chunks() if streamed else CONTENT)
    again = developer.put(PLACE, content=CONTENT)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == {"sha256": DIGEST, "size_bytes": len(CONTENT)}
    found = developer.head(PLACE)
    assert (found.status_code, found.headers["content-length"]) == (200, str(len(CONTENT)))
    assert hub.services.blobs.open(DIGEST).read() == CONTENT


def test_a_node_fetches_blobs_and_nobody_else(node: httpx.Client, developer: httpx.Client) -> None:
    developer.put(PLACE, content=CONTENT)
    answer = node.get(f"/api/v1/blobs/{DIGEST}")
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == f'"{DIGEST}"'
    assert developer.get(f"/api/v1/blobs/{DIGEST}").status_code == 403
    assert node.get(f"/api/v1/blobs/{'0' * 64}").status_code == 404


def test_bytes_of_another_digest_are_refused(developer: httpx.Client) -> None:
    answer = developer.put(PLACE, content=in_chunks(CONTENT[:-1]))
    assert answer.status_code == 400
    assert f"not {DIGEST}; send them again" in answer.json()["detail"]
    assert developer.head(PLACE).status_code == 404


def test_a_place_that_is_no_digest_is_refused(developer: httpx.Client) -> None:
    answer = developer.put("/api/v1/projects/default/blobs/model.onnx", content=CONTENT)
    assert answer.status_code == 400
    assert "is no SHA-256 digest" in answer.json()["detail"]


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "announced"])
def test_a_blob_that_is_too_large_is_refused_and_leaves_nothing(
    services: Services, tmp_path: Path, streamed: bool
) -> None:
    object.__setattr__(services, "blobs", FolderBlobs(tmp_path / "blobs"))
    app = application(services, "0.1.0", HubLimits(blob_bytes=50_000))
    with served(app) as url, RunningHub(url, services) as hub:
        answer = hub.holder(Role.DEVELOPER).put(PLACE, content=in_chunks() if streamed else CONTENT)
    assert answer.status_code == 413, answer.text
    assert answer.json()["type"] == "urn:forebay:problem:too-large"
    assert "50,000 bytes" in answer.json()["detail"]
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_an_upload_whose_caller_leaves_keeps_nothing(
    hub: RunningHub, developer: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(hub.url)
    with socket.create_connection((address.hostname, address.port)) as raw:
        head = f"PUT {PLACE} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(CONTENT)}\r\n"
        head += f"Authorization: {developer.headers['authorization']}\r\n\r\n"
        raw.sendall(head.encode() + CONTENT[:50_000])
    assert developer.head(PLACE).status_code == 404
    assert developer.put(PLACE, content=CONTENT).status_code == 201
    assert "Traceback" not in caplog.text


def test_what_no_version_is_made_of_is_collected(
    hub: RunningHub, admin: httpx.Client, developer: httpx.Client
) -> None:
    kept = register(hub.services.registry, hub.services.blobs)
    developer.put(PLACE, content=CONTENT)
    assert admin.post("/api/v1/blobs/collect").json() == {"blobs": 0, "size_bytes": 0}
    found = admin.post("/api/v1/blobs/collect", params={"older_than_s": 0})
    assert found.json() == {"blobs": 1, "size_bytes": len(CONTENT)}
    assert {sha256 for sha256, _ in hub.services.blobs.all()} == {file.sha256 for file in kept.manifest.files}
    assert developer.post("/api/v1/blobs/collect").status_code == 403

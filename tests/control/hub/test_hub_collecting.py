"""What nobody refers to goes, by itself, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Any

import pytest

from forebay.control.hub import collecting
from forebay.control.hub.services import Services
from forebay.control.store import Database
from support.artifacts import put_file, register

DATA = b"age,price\n3,4\n"
DIGEST = hashlib.sha256(DATA).hexdigest()


def collected_now_and_then(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "_EVERY_S", 0.02)

    async def work() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await collecting.collect_now_and_then(services)

    asyncio.run(work())


def test_files_of_retired_versions_go_and_those_of_active_ones_stay(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    retired, active = (register(services.registry, services.blobs, job=job) for job in ("a", "b"))
    services.registry.retire("default", "digits", retired.version)
    collecting.collect_blobs(services, older_than_s=0)
    assert {sha256 for sha256, _ in services.blobs.all()} == {file.sha256 for file in active.manifest.files}


def test_the_hub_collects_by_itself(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "forebay.hub")
    put_file(services.blobs, "data.csv", DATA)
    monkeypatch.setattr(collecting.collect_blobs, "__defaults__", (0.0,))
    collected_now_and_then(services, monkeypatch)
    assert services.blobs.size(DIGEST) is None
    assert f"collected 1 blobs, {len(DATA)} bytes" in caplog.text


def test_a_database_that_is_away_collects_nothing_and_is_tried_again(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = Database("postgresql+psycopg://forebay@127.0.0.1:1/forebay")
    put_file(services.blobs, "data.csv", DATA)
    monkeypatch.setattr(services.registry, "_database", away)
    collected_now_and_then(services, monkeypatch)
    assert services.blobs.size(DIGEST) == len(DATA)
    assert caplog.text.count("no blobs were collected: the database is locked or away") > 1
    away.close()


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (DIGEST, 1),
        ({"data": {"sha256": DIGEST, "format": "csv"}}, 1),
        ({"manifest": {"files": [{"sha256": DIGEST}, {"sha256": "0" * 64}]}}, 2),
        ({"target": "price", "folds": 5, "seed": None, "near": DIGEST[:-1]}, 0),
    ],
)
def test_digests_are_found_wherever_a_request_names_them(value: Any, count: int) -> None:
    assert len(list(collecting.digests_in(value))) == count

"""Blobs: bytes kept under the SHA-256 of their content."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forebay.control.store import Blobs, FolderBlobs, MemoryBlobs, collect
from forebay.core.errors import Malformed, NotFound, TooLarge

CONTENT = b"a model's weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
A_DAY_S = 24 * 3600.0


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return FolderBlobs(tmp_path / "blobs") if request.param == "folder" else MemoryBlobs()


@pytest.fixture
def folder(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def read(blobs: Blobs, sha256: str) -> bytes:
    with blobs.open(sha256) as file:
        return file.read()


def left_behind(blobs: FolderBlobs) -> list[Path]:
    return list((blobs._root / "incoming").glob("*"))


def make_old(blobs: FolderBlobs, sha256: str, age_s: float = 2 * A_DAY_S) -> None:
    then = time.time() - age_s
    os.utime(blobs.path(sha256), (then, then))


def test_what_was_put_is_what_is_read(blobs: Blobs) -> None:
    assert blobs.put([CONTENT[:10], b"", CONTENT[10:]], DIGEST) == len(CONTENT)
    assert read(blobs, DIGEST) == CONTENT
    assert blobs.size(DIGEST) == blobs.touch(DIGEST) == len(CONTENT)
    assert [sha256 for sha256, _ in blobs.all()] == [DIGEST]


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    assert blobs.put([], digest) == 0
    assert (blobs.size(digest), read(blobs, digest)) == (0, b"")


def test_a_blob_that_is_not_there_is_not_found(blobs: Blobs) -> None:
    assert blobs.size(DIGEST) is None
    assert blobs.touch(DIGEST) is None
    assert not blobs.delete(DIGEST)
    assert list(blobs.all()) == []
    with pytest.raises(NotFound, match="upload it first"):
        blobs.open(DIGEST)


def test_bytes_that_do_not_fit_their_digest_are_not_kept(blobs: Blobs) -> None:
    with pytest.raises(Malformed, match=f"have the SHA-256 .*, not {DIGEST}; send them again"):
        blobs.put([CONTENT[:-1]], DIGEST)
    assert blobs.size(DIGEST) is None


@pytest.mark.parametrize("digest", ["", "abc", "../../etc/passwd", DIGEST.upper(), DIGEST + "0", "g" * 64])
def test_what_is_no_digest_touches_no_file(blobs: Blobs, digest: str) -> None:
    for use in (blobs.size, blobs.touch, blobs.open, blobs.delete, lambda name: blobs.put([b""], name)):
        with pytest.raises(Malformed, match="is no SHA-256 digest"):
            use(digest)


def test_an_upload_beyond_the_limit_is_cut_off(blobs: Blobs) -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 1000

    with pytest.raises(TooLarge, match="may have 10,000 bytes here"):
        blobs.put(endless(), DIGEST, limit_bytes=10_000)
    assert len(taken) == 11
    assert blobs.put([CONTENT], DIGEST, limit_bytes=len(CONTENT)) == len(CONTENT)


def test_an_upload_that_breaks_off_leaves_nothing(folder: FolderBlobs) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT[:100]
        raise ConnectionResetError("the caller has left")

    with pytest.raises(ConnectionResetError):
        folder.put(broken(), DIGEST)
    assert folder.size(DIGEST) is None
    assert left_behind(folder) == []


def test_good_bytes_are_never_written_over(folder: FolderBlobs) -> None:
    folder.put([CONTENT], DIGEST)
    before = folder.path(DIGEST).stat().st_ino
    folder.put([CONTENT], DIGEST)
    assert folder.path(DIGEST).stat().st_ino == before
    assert left_behind(folder) == []


@pytest.mark.parametrize("damage", [CONTENT[:-1], b"", CONTENT[:-1] + b"!"], ids=["cut", "empty", "altered"])
def test_a_damaged_blob_is_mended_by_uploading_it_again(folder: FolderBlobs, damage: bytes) -> None:
    folder.put([CONTENT], DIGEST)
    folder.path(DIGEST).write_bytes(damage)
    folder.put([CONTENT], DIGEST)
    assert read(folder, DIGEST) == CONTENT


def test_who_is_reading_a_damaged_blob_is_not_disturbed_when_it_is_mended(folder: FolderBlobs) -> None:
    folder.put([CONTENT], DIGEST)
    folder.path(DIGEST).write_bytes(b"damaged")
    with folder.open(DIGEST) as reading:
        folder.put([CONTENT], DIGEST)
        assert reading.read() == b"damaged"


def test_many_upload_the_same_bytes_at_once(blobs: Blobs) -> None:
    together = threading.Barrier(8)

    def slowly() -> Iterator[bytes]:
        together.wait()
        for start in range(0, len(CONTENT), 4096):
            yield CONTENT[start : start + 4096]

    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda _: blobs.put(slowly(), DIGEST), range(8)))
    assert sizes == [len(CONTENT)] * 8
    assert read(blobs, DIGEST) == CONTENT
    if isinstance(blobs, FolderBlobs):
        assert left_behind(blobs) == []


def test_a_large_upload_takes_constant_memory(tmp_path: Path) -> None:
    script = """
import hashlib, resource, sys
from pathlib import Path
from forebay.control.store.blobs import FolderBlobs
chunk, count = b"x" * (1 << 20), 256
digest = hashlib.sha256()
for _ in range(count):
    digest.update(chunk)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
FolderBlobs(Path(sys.argv[1])).put((chunk for _ in range(count)), digest.hexdigest())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20_000, "kilobytes for 256 MB"


@given(content=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=6), spoil=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_chunks_only_the_right_bytes_are_kept(
    tmp_path: Path, content: bytes, cuts: list[int], spoil: bool
) -> None:
    digest = hashlib.sha256(content + b"!" if spoil else content).hexdigest()
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    chunks = [content[start:end] for start, end in pairwise(places)]
    for blobs in (FolderBlobs(tmp_path / "blobs"), MemoryBlobs()):
        if spoil:
            with pytest.raises(Malformed):
                blobs.put(chunks, digest)
            assert blobs.size(digest) is None
        else:
            assert blobs.put(chunks, digest) == len(content)
            assert read(blobs, digest) == content


def test_only_what_nobody_refers_to_is_collected(blobs: Blobs) -> None:
    digests = []
    for content in (b"one", b"two", b"three"):
        digests.append(hashlib.sha256(content).hexdigest())
        blobs.put([content], digests[-1])
    found = collect(blobs, {digests[0]}, older_than_s=0)
    assert (found.blobs, found.size_bytes) == (2, 8)
    assert [sha256 for sha256, _ in blobs.all()] == [digests[0]]


def test_a_young_blob_stays_whatever_refers_to_it(blobs: Blobs) -> None:
    blobs.put([CONTENT], DIGEST)
    assert collect(blobs, set(), older_than_s=60).blobs == 0
    assert not blobs.delete(DIGEST, older_than_s=60)
    assert read(blobs, DIGEST) == CONTENT


def test_an_old_blob_that_somebody_is_about_to_publish_stays(folder: FolderBlobs) -> None:
    folder.put([CONTENT], DIGEST)
    make_old(folder, DIGEST)
    assert [age_s > A_DAY_S for _, age_s in folder.all()] == [True]
    folder.touch(DIGEST)
    assert collect(folder, set(), older_than_s=A_DAY_S).blobs == 0
    make_old(folder, DIGEST)
    folder.put([CONTENT], DIGEST)
    assert collect(folder, set(), older_than_s=A_DAY_S).blobs == 0
    make_old(folder, DIGEST)
    assert collect(folder, set(), older_than_s=A_DAY_S).blobs == 1


def test_a_touch_and_a_collection_never_disagree(folder: FolderBlobs) -> None:
    for _ in range(200):
        folder.put([CONTENT[:100]], digest := hashlib.sha256(CONTENT[:100]).hexdigest())
        make_old(folder, digest)
        with ThreadPoolExecutor(2) as pool:
            touched = pool.submit(folder.touch, digest)
            collected = pool.submit(folder.delete, digest, older_than_s=A_DAY_S)
        assert (touched.result() is None) == (folder.size(digest) is None)
        assert collected.result() == (folder.size(digest) is None)


def test_what_a_crashed_upload_left_is_tidied_up(folder: FolderBlobs) -> None:
    folder.put([CONTENT], DIGEST)
    crashed, under_way = (folder._root / "incoming" / name for name in ("crashed", "under-way"))
    crashed.write_bytes(b"half")
    under_way.write_bytes(b"half")
    os.utime(crashed, (0, 0))
    collect(folder, {DIGEST}, older_than_s=A_DAY_S)
    assert left_behind(folder) == [under_way]


def test_a_stray_file_is_neither_listed_nor_removed(folder: FolderBlobs) -> None:
    folder.put([CONTENT], DIGEST)
    stray = folder.path(DIGEST).with_name("notes.txt")
    stray.write_text("mine")
    assert collect(folder, set(), older_than_s=0).blobs == 1
    assert stray.read_text() == "mine"

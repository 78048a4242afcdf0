"""Bad days of the journal: cut files, flipped bytes, killed processes, full disks."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core import UsageEvent
from forebay.core.errors import Broken, Malformed, StorageFull
from forebay.core.frames import encode_frame
from forebay.serving.usage import FileJournal
from forebay.serving.usage.frames import HEADER_BYTES, Header, encode_header

_BATCHES = [[0, 1], [2], [3, 4, 5], [6]]


def event(number: int) -> UsageEvent:
    return UsageEvent(number, "p", "k", "m", 1, "oip", "infer", 1, 10, 20, 1, 2, 3)


def ship_all(journal: FileJournal) -> list[tuple[str, int, int]]:
    shipped = []
    while (shipment := journal.read()) is not None:
        first = shipment.first_seq
        shipped += [(shipment.journal, first + at, e.time_ns) for at, e in enumerate(shipment.events)]
        journal.acknowledge(first + len(shipment.events))
    return shipped


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """The name and the bytes of a file with four batches, as a killed process leaves it."""
    folder = tmp_path_factory.mktemp("journal")
    journal = FileJournal(folder)
    for batch in _BATCHES:
        journal.append([event(number) for number in batch])
    (path,) = folder.glob("*.journal")
    return path.name, path.read_bytes()


def reopened(folder: Path, name: str, data: bytes) -> FileJournal:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / name).write_bytes(data)
    return FileJournal(folder)


def test_a_file_cut_anywhere_gives_the_batches_before_the_cut(
    written: tuple[str, bytes], tmp_path: Path
) -> None:
    name, data = written
    starts = [[], [0, 1], [0, 1, 2], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6]]
    seen = []
    for cut in range(len(data) + 1):
        journal = reopened(tmp_path / "j", name, data[:cut])
        behind = journal.behind
        journal.append([event(77)])
        shipped = ship_all(journal)
        *old, new = shipped
        assert [seq for _, seq, _ in old] == [number for _, _, number in old]
        assert len(old) == behind
        seen.append([number for _, _, number in old])
        assert new[1:] == (0, 77)
        assert new[0] not in name
        assert journal.behind == 0
        journal.close()
        assert not list((tmp_path / "j").glob("*.journal*"))
    assert [batches for at, batches in enumerate(seen) if at == 0 or batches != seen[at - 1]] == starts


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 5])
def test_a_file_that_was_only_begun_costs_nothing_before_it(
    written: tuple[str, bytes], tmp_path: Path, size: int
) -> None:
    name, data = written
    begun = encode_header(Header(name[13:45], 7)) + bytes(5)
    (tmp_path / name).write_bytes(data)
    (tmp_path / name.replace("1-", "2-", 1)).write_bytes(begun[:size])
    journal = FileJournal(tmp_path)
    assert journal.behind == 7
    assert [number for _, _, number in ship_all(journal)] == list(range(7))
    assert not journal.damages


def test_a_byte_flipped_anywhere_is_found_and_only_its_batch_is_lost(
    written: tuple[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, data = written
    for at in range(len(data)):
        caplog.clear()
        flipped = bytearray(data)
        flipped[at] ^= 0xFF
        with caplog.at_level(logging.WARNING):
            journal = reopened(tmp_path / "j", name, bytes(flipped))
            journal.append([event(77)])
            shipped = ship_all(journal)
        journal.close()
        assert shipped[-1][1:] == (0, 77)
        assert all(seq == number for _, seq, number in shipped[:-1])
        got = [number for _, _, number in shipped[:-1]]
        lost = [batch for batch in _BATCHES if batch[0] not in got]
        assert len(lost) == (at >= HEADER_BYTES)
        assert sorted(got + [number for batch in lost for number in batch]) == list(range(7))
        assert name in caplog.text
        if journal.damages:  # else it looked like a write that was cut off, at the very end
            assert journal.damages[0].lost in (None, len(lost[0]) if lost else 0)
            assert (tmp_path / "j" / f"{name}.damaged").read_bytes() == flipped
        else:
            assert lost == [_BATCHES[-1]]


@pytest.mark.parametrize("limit", [20, 1000])
def test_a_byte_flipped_under_a_running_node_is_found_and_only_its_batch_is_lost(
    tmp_path: Path, limit: int
) -> None:
    """What is shipped as it stands is not shipped unseen."""
    for nth in range(40):
        journal = FileJournal(tmp_path / str(nth), mark_events=7)
        numbers = iter(range(60))
        for size in [1, 2, 3] * 10:
            journal.append([event(next(numbers)) for _ in range(size)])
        (path,) = (tmp_path / str(nth)).glob("*.journal")
        data = bytearray(path.read_bytes())
        data[HEADER_BYTES + nth * (len(data) - HEADER_BYTES) // 40] ^= 0xFF
        path.write_bytes(data)
        got = []
        while (shipment := journal.read(limit)) is not None:
            got += [said.time_ns for said in shipment.events]
            journal.acknowledge(shipment.first_seq + len(shipment.events))
        journal.append([event(60)])
        journal.close()
        missing = sorted(set(range(60)) - set(got))
        assert sorted(got) == got
        assert 1 <= len(missing) <= 3
        assert missing == list(range(missing[0], missing[0] + len(missing)))
        assert nth == 39 or [damage.lost for damage in journal.damages] == [len(missing)]


def test_zeros_that_a_power_failure_left_are_cut_away(written: tuple[str, bytes], tmp_path: Path) -> None:
    name, data = written
    journal = reopened(tmp_path / "j", name, data + bytes(4096))
    assert journal.behind == 7
    assert len(ship_all(journal)) == 7
    assert not journal.damages


def test_a_file_that_lost_its_end_shows_in_the_numbers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = FileJournal(tmp_path, segment_bytes=200)
    for number in range(20):
        journal.append([event(number)])
    journal.close()
    first, second, *_ = sorted(tmp_path.glob("*.journal"))
    os.truncate(first, first.stat().st_size - 1)
    second.write_bytes(second.read_bytes()[: HEADER_BYTES + 3])
    with caplog.at_level(logging.ERROR):
        again = FileJournal(tmp_path)
        assert again.behind == 20
        seqs = [seq for _, seq, _ in ship_all(again)]
    assert again.behind == 0
    assert seqs == sorted(seqs)
    missing = set(range(20)) - set(seqs)
    assert 0 < len(missing) < 8
    assert sum(damage.lost or 0 for damage in again.damages) == len(missing)
    assert caplog.text.count("are lost") == 2


@settings(max_examples=150, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 60), st.binary(max_size=60)), min_size=1, max_size=4
    )
)
def test_no_rubbish_in_a_file_stops_the_node_or_invents_an_event(
    edits: list[tuple[int, int, bytes]], written: tuple[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, original = written
    data = original
    for at, length, patch in edits:
        data = data[:at] + patch + data[at + length :]
    journal = reopened(tmp_path_factory.getbasetemp() / "rubbish", name, data)
    journal.append([event(77)])
    *old, new = ship_all(journal)
    assert new[1:] == (0, 77)
    assert journal.behind == 0
    assert all(seq == number for _, seq, number in old)
    journal.close()


def becomes(journal: FileJournal, device: str, flags: int) -> None:
    """From now on the file that the journal has open is *device*."""
    handle = os.open(device, flags)
    os.dup2(handle, journal._writer._file)
    os.close(handle)


def test_a_full_device_that_cannot_even_be_cut_back_costs_only_its_own_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = FileJournal(tmp_path)
    journal.append([event(0)])
    becomes(journal, "/dev/full", os.O_WRONLY)
    with caplog.at_level(logging.WARNING), pytest.raises(StorageFull, match="make room"):
        journal.append([event(1)])
    assert "cannot be cut back" in caplog.text
    journal.append([event(2)])
    assert [(seq, number) for _, seq, number in ship_all(journal)] == [(0, 0), (1, 2)]
    assert not journal.damages


def test_a_disk_that_fails_is_our_fault_and_a_new_file_is_tried(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.append([event(0)])
    becomes(journal, "/dev/null", os.O_RDONLY)
    with pytest.raises(Broken, match="check the node's disk"):
        journal.append([event(1)])
    journal.append([event(2)])
    assert [(seq, number) for _, seq, number in ship_all(journal)] == [(0, 0), (1, 2)]


def test_an_event_of_a_failed_write_is_not_billed_if_its_number_was_given_again(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.append([event(0)])
    (path,) = tmp_path.glob("*.journal")
    data = path.read_bytes()
    journal._writer._doubtful = True  # a write came through in full, but was answered with an error
    journal.append([event(2)])
    path.write_bytes(data + encode_frame(1, [event(1)]))
    journal.close()
    again = FileJournal(tmp_path)
    assert again.behind == 2
    assert [(seq, number) for _, seq, number in ship_all(again)] == [(0, 0), (1, 2)]


def test_a_file_that_cannot_be_read_stops_the_shipping_with_a_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = FileJournal(tmp_path)
    journal.append([event(0)])
    (path,) = tmp_path.glob("*.journal")
    moved = path.rename(tmp_path / "elsewhere")
    path.mkdir()
    with pytest.raises(Broken, match="cannot be read"):
        journal.read()
    path.rmdir()
    moved.rename(path)
    assert len(ship_all(journal)) == 1
    path.unlink()
    path.mkdir()
    with caplog.at_level(logging.WARNING):
        journal.close()
    assert "cannot be removed" in caplog.text


def test_a_file_that_ends_too_early_at_a_clean_place_is_found(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, segment_bytes=200)
    for number in range(20):
        journal.append([event(number)])
    first = min(tmp_path.glob("*.journal"))
    length = len(encode_frame(0, [event(0)]))
    os.truncate(first, HEADER_BYTES + length)
    seqs = [seq for _, seq, _ in ship_all(journal)]
    assert seqs[:2] == [0, journal.damages[0].lost + 1 if journal.damages[0].lost else 0]
    assert journal.behind == 0


def test_events_of_another_release_travel_as_they_were_written(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.append([event(0)])
    (path,) = tmp_path.glob("*.journal")
    strange: list[Any] = [{"shape": "unknown"}]
    with path.open("ab") as file:
        file.write(encode_frame(1, strange))
    os.close(journal._lock)
    again = FileJournal(tmp_path)
    shipment = again.read()
    assert shipment is not None
    assert [frame.size for frame in shipment] == [1, 1]
    with pytest.raises(Malformed, match="is their node newer"):
        shipment.events  # noqa: B018 (reading them is what fails)
    assert not again.damages


_APPENDER = """
import sys
from pathlib import Path
from forebay.core import UsageEvent
from forebay.serving.usage import FileJournal

journal = FileJournal(Path(sys.argv[1]), segment_bytes=5000)
number = 0
while True:
    batch = [
        UsageEvent(number + at, "p", "k", "m", 1, "oip", "infer", 1, 10, 20, 1, 2, 3)
        for at in range(number % 7 + 1)
    ]
    journal.append(batch)
    number += len(batch)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("answers", [1, 40, 300, 1000])
def test_what_was_appended_before_a_kill_is_there_after_it(tmp_path: Path, answers: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _APPENDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(answers)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.read().splitlines(keepends=True)
    process.wait()
    process.stdout.close()
    answered = int([line for line in said if line.endswith("\n")][-1])
    journal = FileJournal(tmp_path)
    numbers = [number for _, _, number in ship_all(journal)]
    assert numbers == list(range(len(numbers)))
    assert answered <= len(numbers) <= answered + 7
    assert not journal.damages


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk could be mounted: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_refuses_what_it_cannot_keep_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    journal = FileJournal(small_disk / "j", segment_bytes=40_000)
    kept: list[int] = []
    refused = []
    for number in range(0, 21_000, 3):
        try:
            journal.append([event(number + at) for at in range(3)])
        except StorageFull as error:
            refused.append(str(error))
            if len(refused) == 20:  # the hub is back and takes some: the oldest files are removed
                del kept[: ship_until(journal, 500)]
        else:
            kept += range(number, number + 3)
    assert len(refused) > 20
    assert all("make room" in message for message in refused)
    assert [number for _, _, number in ship_all(journal)] == kept
    assert journal.behind == 0


def ship_until(journal: FileJournal, behind: int) -> int:
    """How many were shipped."""
    before = journal.behind
    while journal.behind > behind:
        shipment = journal.read()
        assert shipment is not None
        journal.acknowledge(shipment.first_seq + len(shipment.events))
    return before - journal.behind


_LIMITED = """
import resource, sys
from pathlib import Path
from forebay.core import UsageEvent
from forebay.core.errors import StorageFull
from forebay.serving.usage import FileJournal

resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
journal = FileJournal(Path(sys.argv[1]))
for number in range(500):
    try:
        journal.append([UsageEvent(number, "p", "k", "m", 1, "oip", "infer", 1, 10, 20, 1, 2, 3)])
    except StorageFull:
        print("refused", number)
    else:
        print("kept", number)
"""


def test_a_file_that_may_not_grow_is_cut_back_and_a_new_one_begun(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in run.stdout.splitlines()]
    kept = [int(number) for word, number in lines if word == "kept"]
    refused = [int(number) for word, number in lines if word == "refused"]
    assert len(kept) > 450
    assert len(refused) > 3
    journal = FileJournal(tmp_path)
    shipped = ship_all(journal)
    assert [number for _, _, number in shipped] == kept
    assert [seq for _, seq, _ in shipped] == list(range(len(kept)))
    assert not journal.damages

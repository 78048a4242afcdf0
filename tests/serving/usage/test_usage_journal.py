"""The journal: what was appended is shipped, once, in order, whatever happens to the process or its files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forebay.core import UsageEvent
from forebay.core.errors import Broken
from forebay.serving.usage import FileJournal, Journal, MemoryJournal, NoJournal

MakeJournal = Callable[[], Journal]


def event(number: int) -> UsageEvent:
    return UsageEvent(number, "p", "k", "m", 1, "oip", "infer", 1, 10, 20, 1, 2, 3, f"request-{number}")


def events(*numbers: int) -> list[UsageEvent]:
    return [event(number) for number in numbers]


def ship_all(journal: Journal, limit: int = 1000) -> list[tuple[str, int, int]]:
    """Everything that is shipped until nothing is left: (journal, sequence number, the event's number)."""
    shipped = []
    while (shipment := journal.read(limit)) is not None:
        first = shipment.first_seq
        assert len(list(shipment)) == 1 or len(shipment.events) <= limit
        shipped += [(shipment.journal, first + at, e.time_ns) for at, e in enumerate(shipment.events)]
        journal.acknowledge(first + len(shipment.events))
    return shipped


def numbers_in(shipped: list[tuple[str, int, int]]) -> list[int]:
    return [number for _, _, number in shipped]


@pytest.fixture(params=["memory", "file", "tiny files"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    made: Journal
    if request.param == "memory":
        made = MemoryJournal()
    else:
        made = FileJournal(tmp_path / "j", segment_bytes=300 if request.param == "tiny files" else 1 << 20)
    yield made
    made.close()


def test_what_was_appended_is_read_until_it_is_acknowledged(journal: Journal) -> None:
    assert (journal.read(), journal.behind) == (None, 0)
    journal.append(events(0, 1, 2))
    journal.append([])
    journal.append(events(3))
    assert journal.behind == 4
    first = journal.read(3)
    assert first == journal.read(3)
    assert first is not None
    assert (first.first_seq, first.events) == (0, events(0, 1, 2))
    journal.acknowledge(3)
    assert journal.behind == 1
    assert numbers_in(ship_all(journal)) == [3]
    assert (journal.read(), journal.behind) == (None, 0)


def test_what_was_written_together_travels_together_even_if_some_of_it_is_there_already(
    journal: Journal,
) -> None:
    journal.append(events(0, 1, 2))
    journal.append(events(3))
    first = journal.read(2)
    assert first is not None
    assert first.events == events(0, 1, 2)
    journal.acknowledge(2)
    assert journal.behind == 2
    assert numbers_in(ship_all(journal)) == [0, 1, 2, 3]
    assert journal.behind == 0


def test_an_acknowledgement_of_nothing_changes_nothing(journal: Journal) -> None:
    journal.acknowledge(7)
    journal.append(events(0, 1))
    assert journal.behind == 2
    journal.read()
    journal.acknowledge(0)
    assert journal.behind == 2
    assert numbers_in(ship_all(journal)) == [0, 1]


def test_a_hub_that_has_more_than_was_shipped_is_believed(journal: Journal) -> None:
    for number in range(20):
        journal.append(events(number))
    journal.read(2)
    journal.acknowledge(17)
    assert journal.behind == 3
    assert numbers_in(ship_all(journal)) == [17, 18, 19]
    journal.append(events(20))
    journal.read()
    journal.acknowledge(1000)
    assert journal.behind == 0
    journal.append(events(21))
    assert numbers_in(ship_all(journal)) == [21]


def test_sequence_numbers_have_no_holes(journal: Journal) -> None:
    for number in range(50):
        journal.append(events(number))
    shipped = ship_all(journal, 7)
    assert [seq for _, seq, _ in shipped] == numbers_in(shipped) == list(range(50))
    assert len({name for name, _, _ in shipped}) == 1


def test_a_node_that_nobody_is_billed_for_writes_nothing_down() -> None:
    journal: Journal = NoJournal()
    journal.append(events(1))
    journal.acknowledge(1)
    assert (journal.read(), journal.behind) == (None, 0)
    journal.close()


def test_a_hub_restored_from_an_old_copy_gets_again_what_is_still_there(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.append(events(0, 1, 2))
    journal.append(events(3, 4))
    journal.read()
    journal.acknowledge(4)
    shipment = journal.read()
    assert shipment is not None
    assert (shipment.first_seq, journal.behind) == (3, 1)
    journal.acknowledge(1)
    assert journal.behind == 4
    assert numbers_in(ship_all(journal)) == [0, 1, 2, 3, 4]


def test_what_one_process_leaves_the_next_one_ships_under_the_old_name(tmp_path: Path) -> None:
    shipped = []
    for run in range(4):
        journal = FileJournal(tmp_path, segment_bytes=400)
        for number in range(10):
            journal.append(events(100 * run + number))
        shipment = journal.read(3)
        assert shipment is not None
        journal.acknowledge(shipment.first_seq + 1)  # the hub has taken one, the rest has to come again
        shipped += [(shipment.journal, shipment.first_seq, shipment.events[0].time_ns)]
        journal.close()
    last = FileJournal(tmp_path)
    left = last.behind
    again = ship_all(last)
    assert left == len(again)
    ledger = dict.fromkeys(sorted(shipped + again))
    assert sorted(numbers_in(list(ledger))) == [
        100 * run + number for run in range(4) for number in range(10)
    ]
    assert len({(name, seq) for name, seq, _ in ledger}) == 40
    assert len({name for name, _, _ in ledger}) == 4


def test_files_are_removed_when_all_of_them_is_acknowledged(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, segment_bytes=300)
    for number in range(30):
        journal.append(events(number))
    assert len(list(tmp_path.glob("*.journal"))) > 5
    ship_all(journal)
    assert len(list(tmp_path.glob("*.journal"))) == 1
    journal.close()
    assert not list(tmp_path.glob("*.journal"))
    again = FileJournal(tmp_path)
    assert (again.read(), again.behind) == (None, 0)


def test_a_batch_larger_than_a_file_gets_a_file_of_its_own(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, segment_bytes=300)
    journal.append(events(*range(100)))
    journal.append(events(100))
    assert numbers_in(ship_all(journal, 30)) == list(range(101))


def test_two_processes_never_share_a_journal(tmp_path: Path) -> None:
    first = FileJournal(tmp_path)
    with pytest.raises(Broken, match="another process uses the journal"):
        FileJournal(tmp_path)
    first.close()
    FileJournal(tmp_path).close()


def test_a_folder_that_cannot_be_used_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Broken, match="cannot be used"):
        FileJournal(tmp_path / "file" / "j")


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.journal").write_text("mine")
    journal = FileJournal(tmp_path)
    journal.append(events(1))
    assert numbers_in(ship_all(journal)) == [1]
    journal.close()
    assert (tmp_path / "notes.journal").read_text() == "mine"


def test_with_sync_everything_is_the_same(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, segment_bytes=300, sync=True)
    for number in range(20):
        journal.append(events(number))
    assert numbers_in(ship_all(journal)) == list(range(20))


def test_somebody_deletes_the_folder_of_a_running_node(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = FileJournal(tmp_path / "j")
    journal.append(events(0, 1, 2))
    for path in (tmp_path / "j").iterdir():
        path.unlink()
    (tmp_path / "j").rmdir()
    with caplog.at_level(logging.ERROR):
        assert journal.read() is None
    assert "3 usage events are lost" in caplog.text
    journal.append(events(3))
    shipped = ship_all(journal)
    assert [(seq, number) for _, seq, number in shipped] == [(3, 3)]  # the hub sees what is missing
    assert journal.behind == 0
    assert journal.damages[0].lost == 3

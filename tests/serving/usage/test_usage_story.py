"""A node's life with its journal, played in any order: every event reaches the ledger, once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from forebay.core import Shipment, UsageEvent
from forebay.serving.usage import FileJournal


def event(number: int) -> UsageEvent:
    return UsageEvent(number, "p", "k", "m", 1, "oip", "infer", 1, 10, 20, 1, 2, 3)


class NodeAndHub(RuleBasedStateMachine):
    """The ledger is a dictionary; whatever the network does, the hub answers what it expects next."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.journal = self.opened()
        self.appended = 0
        self.ledger: dict[tuple[str, int], int] = {}
        self.expected: dict[str, int] = {}

    def opened(self) -> FileJournal:
        return FileJournal(Path(self.folder.name), segment_bytes=1200, mark_events=5)

    def ingest(self, shipment: Shipment) -> int:
        for at, said in enumerate(shipment.events):
            seq = shipment.first_seq + at
            assert self.ledger.setdefault((shipment.journal, seq), said.time_ns) == said.time_ns
        end = shipment.first_seq + len(shipment.events)
        self.expected[shipment.journal] = max(end, self.expected.get(shipment.journal, 0))
        return self.expected[shipment.journal]

    @rule(count=st.integers(0, 12))
    def requests_are_answered(self, count: int) -> None:
        self.journal.append([event(self.appended + at) for at in range(count)])
        self.appended += count

    @rule(limit=st.integers(1, 30))
    def a_shipment_arrives(self, limit: int) -> None:
        shipment = self.journal.read(limit)
        if shipment is not None:
            self.journal.acknowledge(self.ingest(shipment))

    @rule(limit=st.integers(1, 30))
    def the_hub_s_answer_is_lost(self, limit: int) -> None:
        shipment = self.journal.read(limit)
        if shipment is not None:
            self.ingest(shipment)

    @rule(limit=st.integers(1, 30))
    def a_shipment_is_lost(self, limit: int) -> None:
        self.journal.read(limit)

    @rule()
    def the_node_is_restarted(self) -> None:
        self.journal.close()
        self.journal = self.opened()

    @rule(torn=st.binary(max_size=10))
    def the_node_is_killed_in_the_middle_of_a_write(self, torn: bytes) -> None:
        newest = max(Path(self.folder.name).glob("*.journal"), default=None)
        if newest is not None:
            with newest.open("ab") as file:
                file.write(torn)
        for handle in (self.journal._lock, self.journal._writer._file):
            if handle >= 0:
                os.close(handle)
        self.journal = self.opened()

    @invariant()
    def nothing_is_forgotten(self) -> None:
        assert self.journal.behind >= self.appended - len(self.ledger) >= 0
        assert not self.journal.damages

    def teardown(self) -> None:
        while (shipment := self.journal.read()) is not None:
            self.journal.acknowledge(self.ingest(shipment))
        assert self.journal.behind == 0
        assert sorted(self.ledger.values()) == list(range(self.appended))
        self.journal.close()
        self.folder.cleanup()


NodeAndHub.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNodeAndHub = NodeAndHub.TestCase

"""What a node counts: every answered request is written down here before its answer leaves."""

from forebay.serving.usage.file_journal import FileJournal
from forebay.serving.usage.journal import SHIPMENT_EVENTS, Journal, MemoryJournal, NoJournal
from forebay.serving.usage.segments import Damage

__all__ = ["SHIPMENT_EVENTS", "Damage", "FileJournal", "Journal", "MemoryJournal", "NoJournal"]

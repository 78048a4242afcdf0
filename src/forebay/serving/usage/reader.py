"""The end of a journal that is shipped."""

from __future__ import annotations

import time
from collections import deque

from forebay.core import Frame, Shipment
from forebay.core.errors import Broken
from forebay.serving.usage.frames import HEADER_BYTES
from forebay.serving.usage.segments import Damage, Segment

_FRAMES_AT_ONCE = 256
"""After so many a reading thread lets go of the interpreter: the event loop answers requests with it."""


class Reader:
    """Reads *segments* from the oldest on, and removes those that are done."""

    def __init__(self, segments: deque[Segment]) -> None:
        self._segments = segments
        self._segment: Segment | None = None
        self._seq = 0  # the first event that is not acknowledged
        self._offset = self._offset_seq = 0  # where its frame starts, or one before it, and with which event
        self._dropped_damages: list[Damage] = []
        self.released = 0

    @property
    def damages(self) -> list[Damage]:
        """What could not be read, as far as it has been noticed."""
        return [
            *self._dropped_damages,
            *(damage for segment in list(self._segments) for damage in segment.damages),
        ]

    def read(self, limit: int) -> Shipment | None:
        """See `Journal.read`."""
        while self._segments:
            segment = self._oldest()
            closed = segment.closed
            try:
                shipment = self._marked(segment, limit) or self._collect(segment, limit)
            except FileNotFoundError:
                segment.note_gone(self._seq)
                shipment = None
            except OSError as error:
                raise Broken(f"{segment.path} cannot be read: {error.strerror}; check the disk") from error
            if shipment is not None or not closed:
                return shipment
            self._drop()
        return None

    def acknowledge(self, next_seq: int) -> None:
        """See `Journal.acknowledge`."""
        segment = self._segment
        if segment is None:
            return
        journal = segment.journal
        if next_seq < self._seq:
            self._go_to(max(next_seq, segment.first_seq))
            self._offset, self._offset_seq = HEADER_BYTES, segment.first_seq
            return
        while segment.closed and next_seq >= segment.end_seq:
            self._drop()
            if not self._segments or self._segments[0].journal != journal:
                return
            segment = self._oldest()
        self._go_to(max(self._seq, min(next_seq, segment.end_seq)))

    def tidy(self) -> None:
        """Remove the files that are closed and acknowledged to their end."""
        while self._segments and self._segments[0].closed and self._oldest().end_seq <= self._seq:
            self._drop()

    def _oldest(self) -> Segment:
        segment = self._segments[0]
        if segment is not self._segment:
            self._segment = segment
            self._seq = self._offset_seq = segment.first_seq
            self._offset = HEADER_BYTES
        return segment

    def _go_to(self, seq: int) -> None:
        self.released += seq - self._seq
        self._seq = seq

    def _marked(self, segment: Segment, limit: int) -> Shipment | None:
        """What comes next as its marks describe it; None where they do not.

        The interpreter is the event loop's: a look at each frame here would stop every answer meanwhile.
        """
        marks = segment.marks
        while marks and marks[0].end_seq <= self._seq:
            done = marks.popleft()
            self._offset, self._offset_seq = max((self._offset, self._offset_seq), (done.end, done.end_seq))
        run = [mark for mark in list(marks) if mark.end_seq - self._seq <= limit]
        if not run or run[0].first_seq != self._seq:
            return None
        frames = segment.marked(run)
        return None if frames is None else Shipment(segment.journal, frames)

    def _collect(self, segment: Segment, limit: int) -> Shipment | None:
        """The next whole frames in one run; a gap in their numbers ends it, and so does a mark."""
        run: list[Frame] = []
        events = 0
        marked_seq = next(
            (mark.first_seq for mark in list(segment.marks) if mark.first_seq > self._seq), None
        )
        for place, frame in segment.frames_from(self._offset, self._offset_seq):
            if frame.end_seq <= self._seq:
                self._offset, self._offset_seq = place + len(frame.data), frame.end_seq
                continue
            follows = not run or frame.first_seq == run[-1].end_seq
            if frame.first_seq >= segment.end_seq or not follows or (run and events + frame.size > limit):
                break
            if run and frame.first_seq == marked_seq:
                break
            run.append(frame)
            events += frame.size
            if len(run) % _FRAMES_AT_ONCE == 0:
                time.sleep(0)
        return Shipment(segment.journal, b"".join(frame.data for frame in run)) if run else None

    def _drop(self) -> None:
        """The oldest file is done: all of it is acknowledged, or nothing more of it can be read."""
        segment = self._segments.popleft()
        self._go_to(segment.end_seq)
        self._segment = None
        self._dropped_damages += segment.damages
        segment.discard()

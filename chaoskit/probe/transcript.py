"""What one response said, and when.

Comments are signs of life and no events; a role alone is an event and no token; reasoning is a token and no
output. All events of one socket read share its stamp.
"""

from __future__ import annotations

from chaoskit.probe.protocols import ProtocolEvent
from chaoskit.probe.receive_stamps import Arrival
from chaoskit.probe.recorder import Recorder
from chaoskit.records.model import Event, Read


class Transcript:
    """Grows while the response comes. `whole_at` is the stamp of what made it whole; stamps are None until then.

    `complaint` is what an error event said, "" if it said nothing that is understood, None if there was none.
    """

    def __init__(self, stream: int, books: Recorder) -> None:
        self.first_event: int | None = None
        self.first_token: int | None = None
        self.first_output: int | None = None
        self.last_token: int | None = None
        self.whole_at: int | None = None
        self.has_ended = False
        self.complaint: str | None = None
        self.tokens = 0
        self.events = 0  # comments included
        self._stream = stream
        self._books = books
        self._arrival: Arrival | None = None
        self._events: list[Event] = []

    def take(self, arrival: Arrival, meanings: list[ProtocolEvent]) -> None:
        """These events were completed by that read."""
        if self._arrival is not arrival:
            self.write()
            self._arrival = arrival
        self.events += len(meanings)
        for meaning in meanings:
            self._events.append(meaning.event)
            if not meaning.is_comment:
                self._note(arrival.at, meaning)

    def write(self) -> None:
        """Put the last read into the books."""
        if self._arrival is not None and self._events:
            number, at, user, size = self._arrival
            self._books.read(Read(self._stream, number, at, user, size, tuple(self._events)))
        self._events = []

    def _note(self, at: int, meaning: ProtocolEvent) -> None:
        if self.first_event is None:
            self.first_event = at
        kind = meaning.event.kind
        if kind in ("content", "reasoning"):
            self.tokens += 1
            self.last_token = at
            if self.first_token is None:
                self.first_token = at
            if self.first_output is None and kind == "content":
                self.first_output = at
        elif kind == "error":
            self.complaint = meaning.complaint
        if meaning.completes and self.whole_at is None:
            self.whole_at = at
        self.has_ended = self.has_ended or kind in ("done", "error")

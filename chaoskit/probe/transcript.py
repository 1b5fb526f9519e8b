"""Records the events of one response, with their stamps.

A comment is a keepalive and no event; a role alone is an event and no token; reasoning is a token and no output. All
events of one socket read share its stamp.
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import NO_USAGE, ProtocolEvent
from chaoskit.probe.receive_stamps import ReadStamp
from chaoskit.probe.recorder import Recorder
from chaoskit.records.model import Event, SocketRead


class Transcript:
    """Grows as the response arrives. `completed_at` is the stamp of the completing event; stamps are None until known.

    `text` is that of the answer, where it is kept. `error_message` is the text of an error event, "" if it has none in
    a known format, None without an error event.
    """

    def __init__(self, stream: int, recorder: Recorder) -> None:
        self.first_event: int | None = None
        self.first_token: int | None = None
        self.first_output: int | None = None
        self.last_token: int | None = None
        self.completed_at: int | None = None
        self.has_ended = False
        self.error_message: str | None = None
        self.tokens = 0
        self.text: list[str] = []
        self._usage = NO_USAGE
        self._has_reasoning = False
        self.events = 0  # comments included
        self._stream = stream
        self._recorder = recorder
        self._stamp: ReadStamp | None = None
        self._events: list[Event] = []

    def add(self, stamp: ReadStamp, events: list[ProtocolEvent]) -> None:
        """Add the events that this read completed."""
        if self._stamp is not stamp:
            self.write()
            self._stamp = stamp
        self.events += len(events)
        for event in events:
            self._events.append(event.event)
            if not event.is_comment:
                self._update(stamp.at, event)

    @property
    def usage(self) -> int | None:
        """The tokens of the events with text, as the server counted them.

        Reasoning that it did not send is not among them.
        """
        if self._usage.tokens is None:
            return None
        return max(0, self._usage.tokens - (0 if self._has_reasoning else self._usage.reasoning))

    def write(self) -> None:
        """Record the last read."""
        if self._stamp is not None and self._events:
            number, at, read_at, size = self._stamp
            self._recorder.read(SocketRead(self._stream, number, at, read_at, size, tuple(self._events)))
        self._events = []

    def _update(self, at: int, event: ProtocolEvent) -> None:
        if self.first_event is None:
            self.first_event = at
        kind = event.event.kind
        self._has_reasoning = self._has_reasoning or kind == "reasoning"
        if event.usage.tokens is not None:
            self._usage = event.usage
        if event.text:
            self.text.append(event.text)
        if kind in ("content", "reasoning"):
            self.tokens += 1
            self.last_token = at
            if self.first_token is None:
                self.first_token = at
            if self.first_output is None and kind == "content":
                self.first_output = at
        elif kind == "error":
            self.error_message = event.error_message
        if event.completes and self.completed_at is None:
            self.completed_at = at
        self.has_ended = self.has_ended or kind in ("done", "error")

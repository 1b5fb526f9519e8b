"""Records the events of one response, with their stamps, and what they say about its end.

A comment is a keepalive and no event; a role alone is an event and no token; reasoning is a token and no output. All
events of one socket read share its stamp.

| what came                                          | the response is                                                 |
|----------------------------------------------------|-----------------------------------------------------------------|
| the protocol's end marker                          | complete, whatever follows                                      |
| a finish reason for every choice                   | complete, unless more of a choice follows                       |
| a finish reason with more after it, and another    | complete only with an end marker, or a body that ended properly |
| an error, or a finish reason that means one        | failed, whatever follows                                        |
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import NO_USAGE, ProtocolEvent
from chaoskit.probe.protocols.finish_reasons import meaning
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.records.model import TOKENS, Event, SocketRead


class Transcript:
    """Grows as the response arrives; stamps are None until known.

    `error_message` is the text of an error event, "" if it has none in a known format, None without an error event.
    `finish` is the server's latest word for why the answer ended, `text` the answer's, where it is kept. `is_stamped`:
    it is the reference server's. `computed`: the tokens that its engine meant to compute, where it has one and told.
    `is_refused`: its text is a refusal. `tier` is the latest service tier that it told.
    """

    def __init__(self, stream: int, recorder: Recorder) -> None:
        self.first_event: int | None = None
        self.first_token: int | None = None
        self.first_output: int | None = None
        self.last_token: int | None = None
        self.has_ended = False
        self.error_message: str | None = None
        self.finish = ""
        self.tier = ""
        self.is_stamped = False
        self.computed: int | None = None
        self.is_refused = False
        self.tokens = 0
        self.text: list[str] = []
        self.events = 0  # comments included
        self._done_at: int | None = None
        self._finished: dict[int, int] = {}  # the choices that have finished, and when
        self._unfinished: set[int] = set()  # the others that had output
        self._is_finish_trusted = True
        self._characters = 0
        self._has_media = False
        self._usage = NO_USAGE
        self._has_reasoning = False
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

    def body_ended(self) -> None:
        """The body is whole: a server whose finish reasons were not its last word has nothing more to say."""
        self._is_finish_trusted = True

    @property
    def completed_at(self) -> int | None:
        """The stamp of the event that completed the response; None: it is not complete."""
        if self._done_at is not None:
            return self._done_at
        if self._finished and not self._unfinished and self._is_finish_trusted:
            return max(self._finished.values())
        return None

    @property
    def usage(self) -> int | None:
        """The tokens of the events with text, as the server counted them.

        Reasoning that it did not send is not among them.
        """
        if self._usage.tokens is None:
            return None
        return max(0, self._usage.tokens - (0 if self._has_reasoning else self._usage.reasoning))

    @property
    def most_tokens(self) -> int | None:
        """How many tokens the response has at most; None where nothing says so."""
        if self._usage.tokens is not None:
            return self._usage.tokens
        return None if self._has_media else max(self.tokens, self._characters)

    def write(self) -> None:
        """Record the last read."""
        if self._stamp is not None and self._events:
            self._recorder.read(SocketRead(self._stream, *self._stamp, tuple(self._events)))
        self._events = []

    def _update(self, at: int, event: ProtocolEvent) -> None:
        if self.first_event is None:
            self.first_event = at
        kind = event.event.kind
        if event.usage.tokens is not None:
            self._usage = event.usage
        if event.is_refusal:
            self.is_refused = True
        if event.tier:
            self.tier = event.tier
        if event.text:
            self.text.append(event.text)
        if kind in TOKENS:
            self._add_output(at, event)
        elif kind == "error":
            self._fail(event.error_message or "")
        if event.finish:
            self.finish = event.finish
            if meaning(event.finish) == "failed":
                self._fail(f"finish reason {event.finish}")
        if event.is_finish:
            self._finished[event.choice] = at
            self._unfinished.discard(event.choice)
        if event.completes and self._done_at is None:
            self._done_at = at
        self.has_ended = self.has_ended or kind in ("done", "error")

    def _add_output(self, at: int, event: ProtocolEvent) -> None:
        kind = event.event.kind
        self.tokens += 1
        self.last_token = at
        self.is_stamped = self.is_stamped or event.event.sent is not None
        self._characters += event.characters
        if self.first_token is None:
            self.first_token = at
        if kind == "reasoning":
            self._has_reasoning = True
        elif self.first_output is None:
            self.first_output = at
        if kind == "media":
            self._has_media = True
        if event.choice in self._finished:
            del self._finished[event.choice]
            self._is_finish_trusted = False
        self._unfinished.add(event.choice)

    def _fail(self, message: str) -> None:
        self.has_ended = True
        if self.error_message is None:
            self.error_message = message

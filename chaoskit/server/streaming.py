"""Streams one response, each event at its due time.

Rules: the schedule never moves. Nothing is written to a client that does not read: the schedule continues, the tokens
are late, and their lateness is recorded. The pending data of one stream is at most one event above the connection's
buffer limit. `sent` is read right before the bytes are written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from chaoskit import clock
from chaoskit.records import jsonl, trace_context
from chaoskit.records.model import ServedResponse
from chaoskit.server import malformations, routes
from chaoskit.server.coding import Coder, coder
from chaoskit.server.deviations import Malformed
from chaoskit.server.dispatcher import Outcome
from chaoskit.server.formats.api import CompletionRequest, Stamp
from chaoskit.server.inference.driver import Computation
from chaoskit.server.inference.model_records import ModelLogs, SentAnswer
from chaoskit.server.inference.served_model import Model
from chaoskit.server.limits import PUBLIC, Budget, Limits
from chaoskit.server.malformations.malformation import Malformation
from chaoskit.server.output import Output
from chaoskit.server.pace import ComputedPace, Pace, ScriptedPace
from chaoskit.server.requests import BUSY, READ_HEADERS, Reply, Request
from chaoskit.server.schedule import Part, PlannedResponse, Script
from chaoskit.server.writer import ResponseWriter
from chaoskit.timer import AbsoluteTimer

_ERRORS = {"client-left": "aborted", "failed": "failed"}  # of spans, by the outcome
_BURST = 64  # late events that one stream may send before other streams run
_ERROR = 400  # the first status that is an error: sent at once
_TOKEN_SIZE = 16  # bytes reserved for a token of a response without streaming: the longest word has 9


@dataclass(frozen=True)
class Answer:
    """What a response consists of, and what is wrong with it. `computed`: the tokens that an engine computes for it."""

    completion: CompletionRequest
    planned: PlannedResponse
    computed: int | None = None
    malformation: Malformation = malformations.NONE
    coder: Coder | None = None

    @property
    def is_computed(self) -> bool:
        """Whether an engine computes it, where there is one: it is no reply or garbage in place of a stream."""
        return self.malformation.reply is None and self.malformation.raw is None

    @property
    def finish(self) -> str:
        """Why it ends."""
        return self.malformation.finish or self.completion.finish

    @property
    def tokens(self) -> int:
        """How many tokens are sent."""
        breaks_after = self.malformation.breaks_after
        return self.planned.tokens if breaks_after is None else breaks_after(self.planned.tokens)


class ResponseStream:
    """One response in progress."""

    def __init__(
        self, dispatcher: ResponseDispatcher, answer: Answer, writer: ResponseWriter, request: Request
    ) -> None:
        self._dispatcher = dispatcher
        self._answer = answer
        self._planned = answer.planned
        self._writer = writer
        self._request = request
        self._received = request.received
        self._pace: Pace = ScriptedPace(answer.planned, request.received)
        self._computation: Computation | None = None
        self._uncomputed: tuple[int, int, Callable[[], None]] | None = None  # the event to come, and what then
        self._encoder = answer.completion.api.encoder(answer.completion, answer.planned)
        self._output = Output(writer, answer.malformation, answer.coder)
        self._send = self._output.send if self._output.changes else writer.send
        self._tcp_info_at_start = writer.tcp_info() if dispatcher.log is not None else {}
        self._tokens = answer.tokens
        self._of = None if answer.computed is None else answer.completion.said + answer.computed  # not told yet
        self._part: Part | None = None
        self._seq = 0
        self._late = 0
        self._first: int | None = None  # when the first token was sent
        self._sent_again: list[tuple[int, int, int, int, int]] = []
        self._written = request.received  # when the token before was
        self._is_blocked = False
        self._is_timer_set = False  # a timer callback is pending
        self._is_finished = False

    @property
    def stream(self) -> int | None:
        """The client's number of this stream."""
        return self._answer.completion.stream

    @property
    def is_blocked(self) -> bool:
        """Whether the next token is due and the client does not read."""
        return self._is_blocked

    def lag(self, now: int) -> int:
        """How long the next token should have left at `now`, ns; negative before that."""
        leaves = self._pace.leaves(self._seq)
        return 0 if leaves is None else now - leaves

    def start(self) -> None:
        """Send the head of a stream, and schedule the tokens, or what is sent instead of them."""
        if self._dispatcher.model is not None and self._answer.is_computed:
            tokens = min(self._tokens + 1, self._planned.tokens)  # of one that is cut, the token that is not sent
            completion = self._answer.completion
            self._computation = self._dispatcher.model.submit(self._request, completion, max(1, tokens), self._wake)
            self._pace = ComputedPace(self._planned, self._computation.stamps)
        if not self._answer.is_computed:
            self._at_event(0, 1, self._send_instead)
        elif self._answer.completion.streamed:
            self._output.open((("content-type", self._encoder.content_type), ("cache-control", "no-cache")))
            self._at_event(0, 1, self._send_due_tokens)
        else:
            self._at_event(max(0, self._tokens - 1), 1, self._send_whole)

    def resume(self) -> None:
        """The client reads again."""
        if self._is_blocked:
            self._is_blocked = False
            self._send_due_tokens()

    def stop(self, outcome: Outcome) -> None:
        """Stop, and record the outcome."""
        if self._is_finished:
            return
        self._is_finished = True
        if self._is_timer_set:
            self._dispatcher.requests.overdraw()
        if self._dispatcher.model is not None and self._computation is not None:
            self._dispatcher.model.end(self._computation, outcome, self._answer.finish)
        elif self._dispatcher.model_logs is not None:
            completion = self._answer.completion
            sent = SentAnswer(completion.model, completion.prompt, self._seq, self._first)
            self._dispatcher.model_logs.sent(self._request, sent, _ERRORS.get(outcome))
        if self._dispatcher.log is not None:
            self._note_sent_again(clock.now())
            first_due = self._pace.due(0)
            self._dispatcher.log.add(
                ServedResponse(
                    stream=self.stream,
                    received=self._received,
                    first_due=clock.now() if first_due is None else first_due,
                    ended=clock.now(),
                    tokens=self._planned.tokens,
                    tokens_sent=self._seq,
                    max_late=self._late,
                    outcome=outcome,
                    tcp_info=self._writer.tcp_info(),
                    tcp_info_at_start=self._tcp_info_at_start,
                    sent_again=tuple(self._sent_again),
                )
            )

    def _at_event(self, seq: int, count: int, call: Callable[[], None]) -> None:
        """Make a call when the event of `count` tokens from `seq` on leaves."""
        leaves = self._pace.leaves(seq, count)
        if leaves is None:
            self._uncomputed = (seq, count, call)
        else:
            self._at(leaves, call)

    def _wake(self) -> None:
        """The engine has computed one more token."""
        if self._uncomputed is None:
            return
        seq, count, call = self._uncomputed
        leaves = self._pace.leaves(seq, count)
        if leaves is None:
            return
        self._uncomputed = None
        if leaves <= clock.now():
            call()
        else:
            self._at(leaves, call)

    def _at(self, due: int, call: Callable[[], None]) -> None:
        self._is_timer_set = True
        self._dispatcher.timer.at(due, call)

    def _timer_done(self) -> bool:
        """Whether it was stopped before the timer callback. Until then it has counted as a request, because it used as
        much memory: a client that sends requests and disconnects in a loop cannot exhaust the memory."""
        if self._is_finished and self._is_timer_set:
            self._dispatcher.requests.release()
        self._is_timer_set = False
        return self._is_finished

    def _send_due_tokens(self) -> None:
        """Send every event that is due, and schedule the next."""
        if self._timer_done():
            return
        for _ in range(_BURST):
            count = self._event()
            leaves = self._pace.leaves(self._seq, count)
            if leaves is None or clock.now() < leaves:
                self._at_event(self._seq, count, self._send_due_tokens)
                return
            if not self._writer.is_writable:
                self._is_blocked = True
                return
            if self._seq < self._tokens:
                self._send_event()
            elif self._tokens < self._planned.tokens:
                self._end(b"")
                return
            if self._seq == self._planned.tokens:
                self._end(self._turn(None) + self._encoder.closing(self._seq, self._answer.finish))
                return
        self._at_event(self._seq, self._event(), self._send_due_tokens)

    def _event(self) -> int:
        """How many tokens the next event has; 1 where there is none, because the response breaks off."""
        return max(1, min(self._planned.event(self._seq), self._tokens - self._seq))

    def _send_event(self) -> None:
        planned, seq, count = self._planned, self._seq, self._event()
        part = planned.part(seq)
        before = b"" if part == self._part else self._turn(part)
        due = self._pace.due(seq, count)
        assert due is not None, "what leaves was due"
        stamp = Stamp(self._answer.completion.said + seq, due, count, self._of)
        event = self._encoder.event(part, planned.text(seq, count), stamp)
        head, tail = (before, b"") if event is None else (before + event[0], event[1])
        sent = clock.now()
        if event is not None:
            self._of = None
            self._send(b"%b%d%b" % (head, sent, tail))
        elif before:
            self._send(before)
        self._note_sent_again(sent)
        self._late = max(self._late, sent - due)
        self._first = sent if self._first is None else self._first
        self._seq += count

    def _note_sent_again(self, now: int) -> None:
        """Keep what the kernel had sent again by now, where that has changed."""
        if self._dispatcher.log is None:
            return
        again = self._writer.sent_again()
        known = self._sent_again[-1][2:] if self._sent_again else (0, 0, 0)
        if again > known:
            self._sent_again.append((self._written, now, *again))
        self._written = now

    def _turn(self, part: Part | None) -> bytes:
        """What stands between the part so far and this one; None: the end."""
        before = self._encoder.opening() if self._part is None else self._encoder.end(self._part)
        self._part = part
        return before if part is None else before + self._encoder.begin(part)

    def _send_whole(self) -> None:
        if self._timer_done():
            return
        last = max(0, self._planned.tokens - 1)
        sent = clock.now()
        due = self._pace.due(last)
        due = sent if due is None else due
        self._late, self._first = sent - due, sent
        self._seq = self._planned.tokens
        body = self._encoder.whole(self._answer.finish, Stamp(last, due).value(sent))
        self.stop("sent" if self._answer.malformation.is_ended else "failed")
        self._output.whole((("content-type", self._encoder.content_type),), body)

    def _send_instead(self) -> None:
        if self._timer_done():
            return
        malformation, completion = self._answer.malformation, self._answer.completion
        if malformation.raw is not None:
            self.stop("failed")
            self._output.raw(malformation.raw)
        else:
            assert malformation.reply is not None
            reply = malformation.reply(completion.api, completion)
            self.stop("sent")
            self._writer.open(reply.status, reply.headers, reply.body)
            self._writer.finish(b"")

    def _end(self, data: bytes) -> None:
        """End the stream with its closing, or with what the malformation has instead."""
        malformation = self._answer.malformation
        if malformation.breaks_after is not None:
            data = b""
        if malformation.closing is not None:
            data = malformation.closing(self._answer.completion.api, data)
        self.stop("sent" if malformation.is_ended else "failed")
        if self._output.changes:
            self._output.finish(data)
        else:
            self._writer.finish(data)


class ResponseDispatcher:
    """Responds to requests. All connections of one server share it."""

    def __init__(
        self,
        script: Script,
        timer: AbsoluteTimer,
        log: jsonl.Log | None = None,
        unacked: jsonl.Log | None = None,
        limits: Limits = PUBLIC,
        model_logs: ModelLogs | None = None,
    ) -> None:
        self.script = script
        self.model = None if script.engine is None else Model(script.engine, script.seed, timer, model_logs)
        self.timer = timer
        self.log = log
        self.unacked = unacked
        self.model_logs = model_logs
        has_spans = self.model is not None or model_logs is not None
        self.read_headers = READ_HEADERS | {trace_context.HEADER} if has_spans else READ_HEADERS
        self.limits = limits
        self.memory = Budget(limits.memory)
        self.requests = Budget(limits.requests)
        self._arrivals = 0

    def take(self, request: Request, writer: ResponseWriter) -> ResponseStream | None:
        """Respond at once, or start a stream."""
        parsed = routes.parse(request) if self.model is None else self.model.parse(request)
        if (
            isinstance(parsed, CompletionRequest)
            and not parsed.streamed
            and not writer.reserve(parsed.tokens * _TOKEN_SIZE)
        ):
            parsed = routes.error(parsed.api, *BUSY)
        answer = self._answer(parsed, request) if isinstance(parsed, CompletionRequest) else parsed
        match answer:
            case Reply(status, headers, body):
                writer.open(status, headers, b"" if request.method == "HEAD" else body)
                writer.finish(b"")
                return None
            case Answer():
                response = ResponseStream(self, answer, writer, request)
                response.start()
                return response

    def _answer(self, completion: CompletionRequest, request: Request) -> Answer | Reply:
        """What is answered: a refusal at once, anything else on its schedule."""
        identity = self._identity(completion)
        malformation = self._malformation(completion, identity)
        reply = None if malformation.reply is None else malformation.reply(completion.api, completion)
        if reply is not None and reply.status >= _ERROR:
            if self.model_logs is not None:
                self.model_logs.refused(request, completion.model, reply.status)
            return reply
        if self.model is not None:
            admitted = self.model.admit(request, completion, identity)
            if isinstance(admitted, Reply):
                return admitted
            completion = admitted
        tokens, reasons = completion.tokens, completion.api.reasons
        planned = self.script.plan(tokens, *identity, tool=completion.tool, reasons=reasons).after(completion.said)
        if malformation.whole:
            completion = replace(completion, streamed=False)
        coding = coder(self.script.coding, request.headers.get("accept-encoding", ""), malformation.compression)
        computed = None if self.model is None else planned.tokens
        return Answer(completion, malformation.planned(planned), computed, malformation, coding)

    def _malformation(self, completion: CompletionRequest, identity: tuple[str, int]) -> Malformation:
        """What the client asks for, or what the script draws for this stream."""
        asked = completion.script
        deviation = self.script.deviation(*identity) if asked is None else Malformed(asked)
        found = malformations.NONE if deviation is None else malformations.of_deviation(deviation)
        return found if found.fits(completion.api) else malformations.NONE

    def _identity(self, completion: CompletionRequest) -> tuple[str, int]:
        """The stream number, or for other requests their order of arrival."""
        if completion.stream is not None:
            return "stream", completion.stream
        self._arrivals += 1
        return "arrival", self._arrivals

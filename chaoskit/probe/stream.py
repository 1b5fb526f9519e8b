"""Runs one stream: sends its request, reads the response and records both.

Rules: whatever the peer does is recorded, as one `Request` and a `SocketRead` for each socket read that completed an
event; an event has the stamp of the read that completed it; the deadline bounds every wait, and the workload's limits
every size; an exception in one stream does not reach another. Redirects are not followed; the Location is kept as text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from chaoskit.clock import now
from chaoskit.probe import completion, content_coding, shortfall
from chaoskit.probe.client import Client
from chaoskit.probe.completion import Outcome
from chaoskit.probe.content_coding import Decoder
from chaoskit.probe.conversation import Conversation
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.failure_advice import PAGE
from chaoskit.probe.framing import TooLargeError
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.error_messages import sentence_of
from chaoskit.probe.protocols.events import ProtocolEvent
from chaoskit.probe.protocols.response_parser import ResponseParser
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.requests import PreparedRequest, RequestFactory
from chaoskit.probe.sending import Sending
from chaoskit.probe.silence_samples import SilenceSamples
from chaoskit.probe.transcript import Transcript
from chaoskit.probe.transport.pool import Response
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.records.model import ASKED_AGAIN, Completion, Request
from chaoskit.spec.endpoint import redacted
from chaoskit.units import Duration

_SECOND = 1_000_000_000  # ns
_AFTER_END = _SECOND  # ns that a response may continue after its end marker, or after an error status
_MAX_ERROR_BODY = 16 * 1024  # bytes of an error response's body that are read
_SMALL = 64 * 1024  # bytes of an unfinished event that are not counted
_MAX_HEADER_TEXT = 150  # characters of a header value in the detail
DEGRADED_HEADER, LIMIT_HEADER = b"x-degraded", b"x-chaoskit-max-tokens"
DROPPED_HEADER = b"x-llm-d-request-dropped-reason"
_REDIRECTS = range(300, 400)


@dataclass(frozen=True)
class ScheduledRequest:
    """A request that is ready to be sent at `scheduled` (monotonic ns). `is_warmup`: it does not count."""

    number: int
    scheduled: int
    prepared: PreparedRequest
    conversation: Conversation
    is_warmup: bool = False
    attempt: int = 1
    retry_of: int | None = None


class Stream:
    """One request and its response. `run` it once, as the task that the deadline watches.

    `is_clean` when the response was read to its end, so that its connection can be used again. `how_to_ask_again` is
    set when the server refused something that can be asked otherwise. `answer` is the text of the response, where the
    rest of the conversation needs it.
    """

    def __init__(
        self,
        request: ScheduledRequest,
        requests: RequestFactory,
        client: Client,
        recorder: Recorder,
        deadline: Deadline,
    ) -> None:
        self.is_clean = False
        self.how_to_ask_again = ""
        self._request = request
        self._requests = requests
        self._timeouts = requests.workload.timeouts
        self._limits = requests.workload.limits
        self._client = client
        self._recorder = recorder
        self._deadline = deadline
        retry = requests.workload.users.retry
        self._patience = retry.patience if retry is not None else 0
        self._transcript = Transcript(request.number, recorder)
        self._started = now()
        self._sending = Sending(request.number, self._started, self._timeouts, recorder, deadline)
        self._silences = SilenceSamples(self._sending, requests.workload.stall_threshold)
        self._headers_at: int | None = None
        self._http: str | None = None
        self._status: int | None = None
        self._http_error = ""
        self._parser: ResponseParser | None = None
        self._stamp: ReadStamp | None = None  # of the latest part of the body
        self._held = 0
        self._error_body = b""
        self._text = ""  # what the server said outside of events
        self._remarks: list[str] = []
        self._coding: str | None = None
        self._degraded: str | None = None
        self._told_limit: str | None = None  # of tokens, where the gateway says that it shortens the answer

    @property
    def answer(self) -> str:
        """The text of the response, without reasoning; kept only if the conversation goes on."""
        return "".join(self._transcript.text)

    async def run(self) -> Request:
        """Send the request and read the response to its end. Never raises what the peer caused."""
        self._recorder.stream_started()
        outcome = await self._run_exchange()
        self._deadline.close()
        try:
            self._end_body(is_whole=False)
            outcome = self._final_outcome(outcome)
            self._transcript.write()
            self._silences.ended(now())
            self._sending.sample("end")
        except Exception as error:  # noqa: BLE001  a bug in one stream must not end the others
            outcome = completion.classify_unexpected(error)
        record = self._record(*outcome)
        self._recorder.stream_ended(record)
        return record

    def sample_if_silent(self, at: int) -> None:
        """Sample its socket when nothing has been read for long."""
        self._silences.look(at, self._transcript.tokens > 0)

    async def _run_exchange(self) -> Outcome:
        try:
            await self._exchange()
            self.is_clean = True
            return completion.NO_END_MARKER
        except completion.PEER_ERRORS as error:
            return completion.classify(error, self._sending.state(self._status is not None))
        except asyncio.CancelledError:
            if self._deadline.reason is None:
                raise
            return self._deadline.reason, self._timeout_detail(self._deadline.reason)
        except Exception as error:  # noqa: BLE001  as above
            return completion.classify_unexpected(error)

    async def _exchange(self) -> None:
        response = await self._client.send(
            self._request.prepared.request, self._requests.key_headers(), self._sending, self._request.conversation.key
        )
        try:
            await self._read_response(response)
        finally:
            await response.aclose()

    async def _read_response(self, response: Response) -> None:
        self._headers_at = response.head_stamp.at
        self._http = response.http
        self._status = response.status
        self._degraded = self._requests.redact(response.header(DEGRADED_HEADER) or "") or None
        self._told_limit = response.header(LIMIT_HEADER)
        if not response.is_success:
            self._deadline.reschedule(now() + _AFTER_END, "http_error")
            await self._read_error_response(response)
            return
        decoder = self._check_headers(response)
        if self._requests.workload.http == "2" and response.http != "HTTP/2":
            self._remarks.append(f"{response.http}, though HTTP/2 was asked for: the server chose it in TLS")
        self._parser = parser = ResponseParser(
            self._requests.workload.protocol,
            self._limits.event,
            self._requests.ends,
            keeps_text=self._request.conversation.keeps_answers,
        )
        size = 0

        def take(data: bytes, stamp: ReadStamp) -> None:
            nonlocal size
            self._stamp = stamp
            self._silences.received(stamp)
            for piece in content_coding.decoded(decoder, data):
                if events := parser.feed(piece[: self._limits.body - size]):
                    self._process(stamp, events)
                if parser.failure is not None:
                    raise parser.failure
                self._hold(parser.held)
                size += len(piece)
                if size > self._limits.body:
                    raise TooLargeError(f"a body of more than {self._limits.body}")

        await response.read(take)
        if decoder is not None and not decoder.has_ended:
            self._remarks.append("the compressed body has no end")
        self._end_body(is_whole=True)
        if parser.failure is not None:
            raise parser.failure

    def _hold(self, size: int) -> None:
        """This stream holds so many bytes of an event that is not whole yet."""
        if size > _SMALL or self._held:
            size = size if size > _SMALL else 0
            self._requests.memory.change(self._held, size)
            self._held = size

    def _end_body(self, is_whole: bool) -> None:
        """Take what the end of the body completes, once; what is in doubt only where it was not cut."""
        self._hold(0)
        parser, self._parser = self._parser, None
        if parser is None:
            return
        events = parser.close(is_whole)
        if events and self._stamp is not None:
            self._transcript.add(self._stamp, events)
        if is_whole:
            self._transcript.body_ended()
        self._text = sentence_of(parser.text) if parser.text else ""
        self._remarks += parser.remarks
        self._transcript.computed = parser.computed

    def _process(self, stamp: ReadStamp, events: list[ProtocolEvent]) -> None:
        transcript = self._transcript
        tokens, had_ended = transcript.tokens, transcript.has_ended
        room = self._limits.events - transcript.events
        transcript.add(stamp, events[:room])
        if not tokens and transcript.first_token is not None:
            self._deadline.served()
        if had_ended:
            pass  # the deadline after the end marker is not moved again
        elif transcript.has_ended:
            self._deadline.reschedule(now() + _AFTER_END, "cancelled")
        elif transcript.tokens > tokens or (tokens and self._timeouts.keepalive_extends_idle):
            # from now, not from the stamp: under overload the next data may already be waiting
            self._deadline.reschedule(now() + self._timeouts.idle, "idle_timeout")
        if not tokens and transcript.first_token is not None:
            self._recorder.first_token(transcript.first_token - self._request.scheduled)
            self._sending.sample("start")
        if len(events) > room:
            raise TooLargeError(f"more than {self._limits.events} events and comments")

    async def _read_error_response(self, response: Response) -> None:
        """Describe an error status: Retry-After, Location, and the message in the body."""
        self._http_error = f"{response.status}"
        if (response.header(b"content-type") or "").partition(";")[0].strip().lower() == PAGE:
            self._http_error += f", {PAGE}"
        if retry := response.header(b"retry-after"):
            self._http_error += f", retry-after {retry[:_MAX_HEADER_TEXT]}"
        if reason := response.header(DROPPED_HEADER):
            self._http_error += f", dropped: {reason[:_MAX_HEADER_TEXT]}"
        location = response.header(b"location")
        if location is not None and response.status in _REDIRECTS:
            self._http_error += f", not followed to {redacted(location[:_MAX_HEADER_TEXT])}"

        decoder = content_coding.decoder(response.header(b"content-encoding") or "")

        def take(data: bytes, _: ReadStamp) -> None:
            for piece in content_coding.decoded(decoder, data):
                self._error_body += piece
            if len(self._error_body) > _MAX_ERROR_BODY:
                raise TooLargeError("the rest of an error response")

        await response.read(take)

    def _check_headers(self, response: Response) -> Decoder | None:
        """What decodes the body. Raises MalformedError for a content coding that is not known."""
        expected = PROTOCOLS[self._requests.workload.protocol].content_types
        found = response.header(b"content-type") or expected[0]
        if found.partition(";")[0].strip().lower() not in expected:
            self._remarks.append(f"content-type {found[:_MAX_HEADER_TEXT]} instead of {expected[0]}")
        coding = self._requests.redact(response.header(b"content-encoding") or "")
        decoder = content_coding.decoder(coding)
        self._coding = coding.strip().lower() if decoder is not None else None
        return decoder

    def _final_outcome(self, outcome: Outcome) -> Outcome:
        """Prefer what the server said over how the connection ended, and a bug of chaoskit over everything."""
        if outcome[0] == "internal_error":
            return outcome
        if self._http_error:
            said, status = sentence_of(self._error_body), self._status or 0
            self.how_to_ask_again = self._requests.learn(self._request.prepared.request, status, self._error_body)
            return "http_error", f"{self._http_error}: {said}" if said else self._http_error
        transcript, protocol = self._transcript, PROTOCOLS[self._requests.workload.protocol]
        if transcript.error_message is not None:
            return "error_event", transcript.error_message or "an error without a message"
        if transcript.completed_at is not None and not (self._text and protocol.tells_finish and not transcript.finish):
            return "complete", ""
        if outcome == completion.NO_END_MARKER and not transcript.events and not self._text:
            return "truncated", "an empty response, without the protocol's end marker"
        if self._text and outcome[0] in ("truncated", "reset"):
            return "error_event", "; ".join((self._text, *self._remarks))
        return outcome[0], f"{outcome[1]}, after: {self._text}" if self._text else outcome[1]

    def _record(self, completion: Completion, detail: str) -> Request:
        transcript = self._transcript
        sending, timings = self._sending, self._sending.own_timings
        ended = transcript.completed_at if completion == "complete" else None
        again = f"{ASKED_AGAIN}{self.how_to_ask_again}" if self.how_to_ask_again else ""
        asked, remarks = self._request.prepared.asked, self._remarks
        flag = None
        if completion == "complete":
            due = shortfall.due(asked, self._degraded, self._told_limit)
            flag = shortfall.flag(transcript, due, PROTOCOLS[self._requests.workload.protocol].tells_finish)
            remarks = [
                *remarks,
                *shortfall.remarks(transcript, due, flag),
                *(["text outside of events"] if self._text else []),
            ]
        return Request(
            stream=self._request.number,
            scheduled=self._request.scheduled,
            started=self._started,
            ended=ended or now(),
            completion=completion,
            detail=self._requests.redact(detail) + again,
            sent=sending.sent,
            dns_duration=timings.dns,
            connect_duration=timings.connect,
            tls_duration=timings.tls,
            upload_duration=sending.upload_duration,
            headers=self._headers_at,
            first_event=transcript.first_event,
            first_token=transcript.first_token,
            first_output=transcript.first_output,
            last_token=transcript.last_token,
            tokens=transcript.tokens,
            usage=transcript.usage,
            status=self._status,
            coding=self._coding,
            http=self._http,
            connection=sending.connection.number if sending.connection else None,
            port=sending.connection.port if sending.connection else None,
            reused=sending.is_reused,
            reconnected=sending.has_reconnected,
            queue_duration=sending.queue_duration,
            unreachable=timings.unreachable,
            warmup=self._request.is_warmup or bool(again),
            asked=asked.most,
            finish=self._requests.redact(transcript.finish) or None,
            flag=flag,
            remarks=tuple(map(self._requests.redact, remarks)),
            trace=self._request.prepared.trace,
            workflow=self._request.conversation.opening.workflow,
            attempt=self._request.attempt,
            retry_of=self._request.retry_of,
            traffic_class=self._request.prepared.traffic_class,
            tier_asked=self._request.prepared.tier,
            tier_served=self._requests.redact(transcript.tier) or None,
            degraded=self._degraded,
            computed=transcript.computed,
        )

    def _timeout_detail(self, reason: Completion) -> str:
        """What the stream was waiting for when its deadline expired."""
        waited_for = "first token" if self._status is not None else "response"
        match reason:
            case "connect_failed" | "client_error":
                return self._sending.timeout_detail()
            case "first_token_timeout":
                return f"no {waited_for} within {self._timeouts.first_token}"
            case "idle_timeout" if self._timeouts.keepalive_extends_idle:
                return f"silent for {self._timeouts.idle}"
            case "idle_timeout":
                return f"no token for {self._timeouts.idle}"
            case "abandoned":
                return f"the user gave up: no first token within {Duration(self._patience)}"
            case "stream_timeout":
                return f"not at its end within {self._timeouts.stream}"
            case _:
                return "the run ended" if self._transcript.first_token else f"the run ended before the {waited_for}"

"""Runs one stream: sends its request, reads the response and records both.

Rules: whatever the peer does is recorded, as one `Request` and a `SocketRead` for each socket read that completed an
event; an event has the stamp of the read that completed it; the deadline bounds every wait, and the workload's limits
every size; an exception in one stream does not reach another. Redirects are not followed; the Location is kept as text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from chaoskit.clock import now
from chaoskit.probe import completion, shortfall
from chaoskit.probe.completion import Outcome, StreamState
from chaoskit.probe.connections import Client, Response
from chaoskit.probe.conversation import Conversation
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.error_messages import sentence_of
from chaoskit.probe.protocols.events import ProtocolEvent
from chaoskit.probe.protocols.response_parser import ResponseParser
from chaoskit.probe.receive_stamps import ReadStamp
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.requests import RequestFactory
from chaoskit.probe.socket_stream import Connection, ConnectTimings
from chaoskit.probe.transcript import Transcript
from chaoskit.records.model import ASKED_AGAIN, Completion, Request, TcpInfo
from chaoskit.spec.endpoint import redacted

_SECOND = 1_000_000_000  # ns
_AFTER_END = _SECOND  # ns that a response may continue after its end marker, or after an error status
_MAX_ERROR_BODY = 16 * 1024  # bytes of an error response's body that are read
_SMALL = 64 * 1024  # bytes of an unfinished event that are not counted
_MAX_HEADER_TEXT = 150  # characters of a header value in the detail
_REDIRECTS = range(300, 400)


@dataclass(frozen=True)
class ScheduledRequest:
    """A request that is ready to be sent at `scheduled` (monotonic ns). `is_warmup`: it does not count."""

    number: int
    scheduled: int
    request: httpx.Request
    conversation: Conversation
    is_warmup: bool = False


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
        self._transcript = Transcript(request.number, recorder)
        self._started = now()
        self._connection: Connection | None = None
        self._timings: ConnectTimings | None = None  # None: an existing connection is reused
        self._http2_stream: int | None = None
        self._sent: int | None = None
        self._last_activity: int | None = None  # when the last bytes were read; before that, when sending began
        self._sample_after = _SECOND
        self._upload_duration: int | None = None
        self._headers_at: int | None = None
        self._http: str | None = None
        self._status: int | None = None
        self._http_error = ""
        self._parser: ResponseParser | None = None
        self._stamp: ReadStamp | None = None  # of the latest part of the body
        self._held = 0
        self._text = ""  # what the server said outside of events
        self._remarks: list[str] = []
        request.request.extensions["trace"] = self._trace

    @property
    def answer(self) -> str:
        """The text of the response, without reasoning; kept only if the conversation goes on."""
        return "".join(self._transcript.text)

    async def run(self) -> Request:
        """Send the request and read the response to its end. Never raises what the peer caused."""
        self._recorder.stream_started()
        self._deadline.reschedule(self._started + self._timeouts.connect, "connect_failed")
        outcome = await self._run_exchange()
        self._deadline.close()
        try:
            self._end_body(is_whole=False)
            outcome = self._final_outcome(outcome)
            self._transcript.write()
            self._sample("end")
            self._forget_http2_stream()
        except Exception as error:  # noqa: BLE001  a bug in one stream must not end the others
            outcome = completion.classify_unexpected(error)
        record = self._record(*outcome)
        self._recorder.stream_ended(record)
        return record

    def sample_if_stuck(self, at: int) -> None:
        """Sample its socket when nothing has been read for 1 s, and again after 2 s, 4 s, ..."""
        if self._last_activity is not None and at - self._last_activity >= self._sample_after:
            self._sample_after *= 2
            self._sample("stuck")

    async def _run_exchange(self) -> Outcome:
        try:
            await self._exchange()
            self.is_clean = True
            return completion.NO_END_MARKER
        except completion.PEER_ERRORS as error:
            return completion.classify(error, self._state())
        except asyncio.CancelledError:
            if self._deadline.reason is None:
                raise
            return self._deadline.reason, self._timeout_detail(self._deadline.reason)
        except Exception as error:  # noqa: BLE001  as above
            return completion.classify_unexpected(error)

    async def _exchange(self) -> None:
        response = await self._client.send(self._request.request, self._requests.key_headers())
        try:
            await self._read_response(response)
        finally:
            await response.aclose()

    async def _read_response(self, response: Response) -> None:
        assert self._connection is not None
        frames, number = self._connection.frames, self._http2_stream
        headers = frames.headers(number) if frames is not None and number is not None else None
        self._headers_at = (headers or self._connection.last).at
        self._http = response.http
        self._status = response.status
        if not response.is_success:
            self._deadline.reschedule(now() + _AFTER_END, "http_error")
            await self._read_error_response(response)
            return
        self._check_headers(response)
        self._parser = parser = ResponseParser(
            self._requests.workload.protocol,
            self._limits.event,
            self._requests.ends,
            keeps_text=self._request.conversation.keeps_answers,
        )
        too_large = f"a body of more than {self._limits.body}"
        self._limit(self._limits.body, too_large)
        size = 0
        async for chunk in response.chunks():
            self._stamp = stamp = self._read_stamp()
            self._last_activity, self._sample_after = stamp.read_at, _SECOND
            if events := parser.feed(chunk[: self._limits.body - size]):
                self._process(stamp, events)
            if parser.failure is not None:
                raise parser.failure
            self._hold(parser.held)
            size += len(chunk)
            if size > self._limits.body:
                raise TooLargeError(too_large)
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

    def _limit(self, size: int, excess: str) -> None:
        """Bound the bytes still to come. On HTTP/2, where streams share a connection, its frame tracker does."""
        if self._connection is not None and self._connection.frames is None:
            self._connection.limit(size, excess)

    def _process(self, stamp: ReadStamp, events: list[ProtocolEvent]) -> None:
        transcript = self._transcript
        tokens, had_ended = transcript.tokens, transcript.has_ended
        room = self._limits.events - transcript.events
        transcript.add(stamp, events[:room])
        if had_ended:
            pass  # the deadline after the end marker is not moved again
        elif transcript.has_ended:
            self._deadline.reschedule(now() + _AFTER_END, "cancelled")
        elif transcript.tokens > tokens or (tokens and self._timeouts.keepalive_extends_idle):
            # from now, not from the stamp: under overload the next data may already be waiting
            self._deadline.reschedule(now() + self._timeouts.idle, "idle_timeout")
        if not tokens and transcript.first_token is not None:
            self._recorder.first_token(transcript.first_token - self._request.scheduled)
            self._sample("start")
        if len(events) > room:
            raise TooLargeError(f"more than {self._limits.events} events and comments")

    def _read_stamp(self) -> ReadStamp:
        """The read that completed the chunk that was yielded last."""
        assert self._connection is not None
        frames, number = self._connection.frames, self._http2_stream
        stamp = frames.next_data(number) if frames is not None and number is not None else None
        return stamp or self._connection.last

    async def _read_error_response(self, response: Response) -> None:
        """Describe an error status: Retry-After, Location, and the message in the body."""
        body = b""
        self._http_error = f"{response.status}"
        if retry := response.header(b"retry-after"):
            self._http_error += f", retry-after {retry[:_MAX_HEADER_TEXT]}"
        location = response.header(b"location")
        if location is not None and response.status in _REDIRECTS:
            self._http_error += f", not followed to {redacted(location[:_MAX_HEADER_TEXT])}"
        self._limit(self._limits.body, f"a body of more than {self._limits.body}")
        async for chunk in response.chunks():
            body += chunk
            if len(body) > _MAX_ERROR_BODY:
                return
        message = sentence_of(body)
        self._http_error += f": {message}" if message else ""
        self.how_to_ask_again = self._requests.learn(self._request.request, response.status, body)

    def _check_headers(self, response: Response) -> None:
        expected = PROTOCOLS[self._requests.workload.protocol].content_types
        found = response.header(b"content-type") or expected[0]
        if found.partition(";")[0].strip().lower() not in expected:
            self._remarks.append(f"content-type {found[:_MAX_HEADER_TEXT]} instead of {expected[0]}")
        coding = response.header(b"content-encoding") or "identity"
        if coding.lower() != "identity":
            raise MalformedError(self._requests.redact(f"content-encoding {coding} though none was asked for"))

    async def _trace(self, name: str, info: dict[str, Any]) -> None:
        """Follow the request by httpcore's trace extension."""
        match name.partition(".")[2]:
            case "connect_tcp.complete":
                connection: Connection = info["return_value"]
                self._connection = connection
                self._timings = connection.timings
                at, fields = connection.tcp_info_at_connect
                self._recorder.tcp_info(TcpInfo(self._request.number, "connected", at, fields))
            case "send_request_headers.started":
                self._request_started(info.get("stream_id"))
            case "send_request_body.complete":
                assert self._sent is not None
                self._upload_duration = now() - self._sent

    def _request_started(self, http2_stream: int | None) -> None:
        """The request is about to be sent; a second time when the peer has said by GOAWAY that it was not processed."""
        if self._sent is None:
            self._sent = now()
            self._deadline.reschedule(self._sent + self._timeouts.first_token, "first_token_timeout")
        self._last_activity = now()
        self._connection = self._connection or self._client.backend.latest
        self._http2_stream = http2_stream
        if self._connection is not None and self._connection.frames is not None and http2_stream is not None:
            self._connection.frames.open(http2_stream)
        self._limit(self._limits.headers, f"headers of more than {self._limits.headers}")

    def _final_outcome(self, outcome: Outcome) -> Outcome:
        """Prefer what the server said over how the connection ended, and a bug of chaoskit over everything."""
        if outcome[0] == "internal_error":
            return outcome
        if self._http_error:
            return "http_error", self._http_error
        transcript, protocol = self._transcript, PROTOCOLS[self._requests.workload.protocol]
        if transcript.error_message is not None:
            return "error_event", transcript.error_message or "an error without a message"
        if transcript.completed_at is not None and not (self._text and protocol.tells_finish and not transcript.finish):
            return "complete", ""
        if self._text and outcome[0] in ("truncated", "reset"):
            return "error_event", "; ".join((self._text, *self._remarks))
        return outcome[0], f"{outcome[1]}, after: {self._text}" if self._text else outcome[1]

    def _record(self, completion: Completion, detail: str) -> Request:
        transcript = self._transcript
        timings = self._timings or (self._client.backend.timings if self._sent is None else ConnectTimings())
        ended = transcript.completed_at if completion == "complete" else None
        again = f"{ASKED_AGAIN}{self.how_to_ask_again}" if self.how_to_ask_again else ""
        asked, remarks = self._requests.asked, self._remarks
        flag = None
        if completion == "complete":
            flag = shortfall.flag(transcript, asked, PROTOCOLS[self._requests.workload.protocol].tells_finish)
            remarks = [
                *remarks,
                *shortfall.remarks(transcript, asked),
                *(["text outside of events"] if self._text else []),
            ]
        return Request(
            stream=self._request.number,
            scheduled=self._request.scheduled,
            started=self._started,
            ended=ended or now(),
            completion=completion,
            detail=self._requests.redact(detail) + again,
            sent=self._sent,
            dns_duration=timings.dns,
            connect_duration=timings.connect,
            tls_duration=timings.tls,
            upload_duration=self._upload_duration,
            headers=self._headers_at,
            first_event=transcript.first_event,
            first_token=transcript.first_token,
            first_output=transcript.first_output,
            last_token=transcript.last_token,
            tokens=transcript.tokens,
            usage=transcript.usage,
            status=self._status,
            http=self._http,
            connection=self._connection.number if self._connection else None,
            reused=self._connection is not None and self._timings is None,
            warmup=self._request.is_warmup or bool(again),
            asked=asked.most,
            finish=self._requests.redact(transcript.finish) or None,
            flag=flag,
            remarks=tuple(map(self._requests.redact, remarks)),
        )

    def _sample(self, when: Literal["start", "stuck", "end"]) -> None:
        if self._connection is not None:
            at, fields = self._connection.info()
            self._recorder.tcp_info(TcpInfo(self._request.number, when, at, fields))

    def _state(self) -> StreamState:
        connection, number = self._connection, self._http2_stream
        frames = connection.frames if connection else None
        return StreamState(
            was_sent=self._sent is not None,
            had_headers=self._status is not None,
            peer_closed=connection is not None and connection.eof_received,
            reset=frames.resets.get(number) if frames and number is not None else None,
            goaway=frames.goaway if frames else None,
        )

    def _forget_http2_stream(self) -> None:
        if self._connection and self._connection.frames and self._http2_stream is not None:
            self._connection.frames.stop_tracking(self._http2_stream)

    def _timeout_detail(self, reason: Completion) -> str:
        """What the stream was waiting for when its deadline expired."""
        waited_for = "first token" if self._status is not None else "response"
        match reason:
            case "connect_failed":
                return f"{self._client.backend.timings.step} not finished within {self._timeouts.connect}"
            case "first_token_timeout":
                return f"no {waited_for} within {self._timeouts.first_token}"
            case "idle_timeout" if self._timeouts.keepalive_extends_idle:
                return f"silent for {self._timeouts.idle}"
            case "idle_timeout":
                return f"no token for {self._timeouts.idle}"
            case "stream_timeout":
                return f"not at its end within {self._timeouts.stream}"
            case _:
                return "the run ended" if self._transcript.first_token else f"the run ended before the {waited_for}"

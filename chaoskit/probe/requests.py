"""Builds the requests of one drive, each with its own question, and redacts secrets from texts.

Rules: secrets are put into headers when a request is sent; every text of the server that is kept has passed `redact`,
which removes secrets of the request that the server may echo.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import httpx

from chaoskit import __version__
from chaoskit.probe import content_coding
from chaoskit.probe.conversation import Conversation
from chaoskit.probe.credentials import Credentials
from chaoskit.probe.failure_advice import Circumstances
from chaoskit.probe.memory_budget import MemoryBudget
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.asked_tokens import Asked, asked_tokens
from chaoskit.probe.protocols.response_parser import EndMarkers
from chaoskit.probe.questions import of_workflows
from chaoskit.probe.request_body import merged
from chaoskit.probe.request_url import request_url, usual_path
from chaoskit.probe.target import Target
from chaoskit.records.trace_context import HEADER, trace_of_request
from chaoskit.spec.classes import TrafficClass, draw
from chaoskit.spec.conversations import openings
from chaoskit.spec.endpoint import redacted
from chaoskit.spec.workload import Workload
from chaoskit.terminal import shortened
from chaoskit.tiers.carriage import TIER_FIELD

_MAX_DETAIL = 200  # characters
NO_CLASSES: Mapping[str, TrafficClass] = MappingProxyType({})


def _ends(workload: Workload) -> EndMarkers:
    """What ends a response of plain server-sent events."""
    event, data = (None if text is None else text.encode() for text in (workload.end_event, workload.end_data))
    return EndMarkers(event, data, workload.end == "body")


def _asks_one_number(workload: Workload) -> bool:
    counts = {workload.of(name).output_tokens for name in workload.demand or (None,)}
    return workload.trace is None and len(counts) == 1 and isinstance(counts.pop(), int)


class PreparedRequest(NamedTuple):
    """A request, how many tokens it asks for, the trace that it names, its class, and the service tier it asks for."""

    request: httpx.Request
    asked: Asked
    trace: str | None
    traffic_class: str | None = None
    tier: str | None = None


class RequestFactory:
    """Builds requests. Raises SpecError for an invalid URL, header or key of the target, or prompts file.

    `ends` is what ends a response of plain server-sent events; `memory` bounds what all responses hold.
    """

    def __init__(
        self, target: Target, workload: Workload, seed: int, classes: Mapping[str, TrafficClass] = NO_CLASSES
    ) -> None:
        self.workload = workload
        self._classes = classes
        self._carriage = workload.carry.class_place.carriage(classes)
        self.url = request_url(target, workload)
        self._has_one_url = workload.protocol != "sse" or _asks_one_number(workload)
        self.usual_path = usual_path(target, workload).partition("?")[0]
        self._target = target
        names_own_trace = HEADER in map(str.lower, (*target.headers, *target.header_env))
        self._traces = None if names_own_trace else target.traces
        self._seed = seed
        self._credentials = Credentials(target, workload.protocol)
        self._questions = dict(of_workflows(target, workload, seed))
        self.ends = _ends(workload)
        self.memory = MemoryBudget()
        first = next(openings(workload, seed, 1))
        asking = self._questions[first.workflow]
        self._asks_stream = asking.body.asks_stream(asking.next(Conversation(first)))
        protocol = PROTOCOLS[workload.protocol]
        self._headers = {
            "accept-encoding": content_coding.DEFAULT,
            "user-agent": f"chaoskit/{__version__}",
            "content-type": "application/json",
            "accept": ", ".join(protocol.content_types),
            **protocol.headers,
            **{name.lower(): value for name, value in target.headers.items()},
        }
        content_coding.check_accepted(self._headers["accept-encoding"])

    @property
    def shown_url(self) -> str:
        """Where requests go, for people."""
        return redacted(str(self.url))

    @property
    def circumstances(self) -> Circumstances:
        """What is asked, for advice when it fails."""
        work = self.workload
        has_ca_file = self._target.ca_file is not None
        return Circumstances(self.shown_url, work.protocol, self.usual_path, self._asks_stream, work.http, has_ca_file)

    def key_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers with secrets."""
        return self._credentials.headers()

    def request(self, stream: int, conversation: Conversation) -> PreparedRequest:
        """The request of one stream, the next of its conversation, without secrets."""
        asking = self._questions[conversation.opening.workflow]
        question = asking.next(conversation)
        body = asking.body.body(question)
        headers = {**self._headers, **asking.headers, "x-chaoskit-stream": str(stream)}
        trace = None if self._traces is None else trace_of_request(self._traces, stream)
        if trace is not None:
            headers[HEADER] = trace.header
        traffic_class = asking.traffic_class or draw(self._classes, self._seed, conversation.opening.first)
        if traffic_class is not None:
            body = merged(body, self._carriage.fields(traffic_class))
            headers |= self._carriage.headers(traffic_class)
        url = self.url if self._has_one_url else request_url(self._target, self.workload, question.max_tokens)
        request = httpx.Request("POST", url, headers=headers, content=json.dumps(body).encode())
        named, tier = None if trace is None else trace.trace, body.get(TIER_FIELD)
        tier = tier if isinstance(tier, str) else None
        return PreparedRequest(request, asked_tokens(body), named, traffic_class, tier)

    def learn(self, request: httpx.Request, status: int, refusal: bytes) -> str:
        """How to ask again after a refusal: "with max_completion_tokens"; "" where nothing can be changed."""
        sent, text = json.loads(request.content), refusal.decode(errors="replace")
        return next(filter(None, [each.body.learn(sent, status, text) for each in self._questions.values()]), "")

    def redact(self, text: str) -> str:
        """A server's text as one short line of printable characters, without the API key and other secrets."""
        text = self._credentials.hide(text)
        line = " ".join("".join(c if c.isprintable() else " " for c in text[: 8 * _MAX_DETAIL]).split())
        return shortened(line, _MAX_DETAIL)

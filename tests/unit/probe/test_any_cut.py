"""However a proxy cuts a response into reads, it has the same events, the same failure and the same end."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transcripts import COMPLETE, DONE, block, candidate, delta, lines, sse

from chaoskit.probe.protocols.events import ProtocolEvent
from chaoskit.probe.protocols.response_parser import ResponseParser
from chaoskit.probe.transcript import Transcript
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.spec.workload import Protocol

MAX_SIZE = 10_000
BROKEN: list[tuple[Protocol, bytes]] = [
    ("openai-chat", sse(delta(content="a"), {"error": {"message": "no"}}) + DONE),
    ("openai-chat", sse(delta(content="a")) + b'error: {"code": 500, "message": "no"}\n\n' + DONE),
    ("openai-chat", sse(delta(content="a")) + b"event: error\ndata: no\n\n" + DONE),
    ("openai-chat", sse(delta(content="a"), delta("stop")) + b"data: {oops\n\n" + sse(delta(content="b"))),
    ("openai-chat", sse(delta("stop", content="a"), delta("stop", content="b"), delta("stop", content="c"))),
    ("openai-chat", sse(delta(content="a"), delta("network_error")) + DONE),
    ("openai-chat", sse(delta(content="a"))[:-1] + sse(delta("stop")) + DONE),
    ("openai-chat", b"<html>\n<head><title>502 Bad Gateway</title></head>\n\n</html>\n"),
    ("openai-chat", b'{\n  "error": {\n    "message": "no"\n  }\n}'),
    ("openai-chat", b'{"choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}'),
    ("openai-chat", sse(delta(content="x" * 2 * MAX_SIZE))),
    ("openai-chat", sse(delta(content="a"), delta("stop")) + b"data: " + b"x" * 2 * MAX_SIZE),
    ("anthropic-messages", sse(block("text_delta", text="a"), names=True) + DONE),
    ("gemini", b"[" + lines(candidate({"text": "a"})) + b",\r\n" + lines(candidate(finishReason="STOP")) + b"]"),
    ("ollama", lines({"message": {"content": "a"}}, {"error": "no"})),
    ("ollama", lines({"message": {"content": "a"}}) + b'{"message": {"content": "b"}}{"done": true}'),
    ("ollama", lines({"message": {"content": "a"}}) + b"Internal Server Error\n"),
    ("sse", b"data: a\n\nevent: error\ndata: no\n\n"),
]
ALL = [*COMPLETE.items(), *BROKEN]


class Nowhere:
    """A recorder that keeps nothing."""

    def read(self, record: object) -> None:
        """Forget it."""


def understood(protocol: Protocol, chunks: Iterable[bytes], is_whole: bool) -> tuple[list[ProtocolEvent], Any]:
    """The events of these reads, and everything that decides about the end."""
    parser, transcript = ResponseParser(protocol, MAX_SIZE), Transcript(0, Nowhere())  # type: ignore[arg-type]
    stamp = ReadStamp(0, 1, 1, 1, 1)
    found: list[ProtocolEvent] = []
    for chunk in chunks:
        events = parser.feed(chunk)
        found += events
        transcript.add(stamp, events)
        if parser.failure is not None:
            break
    else:
        events = parser.close(is_whole)
        found += events
        transcript.add(stamp, events)
        if is_whole:
            transcript.body_ended()
    ending = (
        *(transcript.completed_at, transcript.error_message, transcript.finish, transcript.tokens, transcript.usage),
        *(str(parser.failure), parser.text, tuple(parser.remarks)),
    )
    return found, ending


@pytest.mark.parametrize(("protocol", "body"), ALL)
@pytest.mark.parametrize("is_whole", [True, False])
def test_every_byte_is_a_place_to_cut(protocol: Protocol, body: bytes, is_whole: bool) -> None:
    """A response in two reads, whatever the byte between them, or byte by byte, is what it is in one read."""
    whole = understood(protocol, [body], is_whole)

    for cut in range(1, len(body)) if len(body) < 2000 else (5, 500, MAX_SIZE, len(body) - 1):
        assert understood(protocol, [body[:cut], body[cut:]], is_whole) == whole, cut
    assert understood(protocol, [body[at : at + 1] for at in range(len(body))], is_whole) == whole


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(st.sampled_from(ALL), st.lists(st.integers(0, 2000), max_size=8), st.booleans())
def test_any_cuts_change_nothing(one: tuple[Protocol, bytes], cuts: list[int], is_whole: bool) -> None:
    """Any number of cuts anywhere changes nothing."""
    protocol, body = one
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]

    found = understood(protocol, [body[a:b] for a, b in itertools.pairwise(bounds)], is_whole)

    assert found == understood(protocol, [body], is_whole)


@pytest.mark.parametrize(("protocol", "body"), COMPLETE.items())
def test_a_response_is_complete_from_its_end_on(protocol: Protocol, body: bytes) -> None:
    """Cut anywhere before the event that completes it, it is not complete; from there on it is."""
    found = [understood(protocol, [body[:size]], is_whole=False)[1][0] for size in range(len(body) + 1)]

    assert found == sorted(found, key=lambda completed: completed is not None)
    assert found[0] is None
    assert found[-1] is not None

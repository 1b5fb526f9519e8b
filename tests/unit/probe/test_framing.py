"""The parser emits the same events for any split of the bytes, and the same as another parser."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from chaoskit.probe.framing import COMMENT, EventParser, NdjsonParser, RawEvent, SseParser, TooLargeError

MAX_SIZE = 100_000
STREAMS = [
    b"data: one\n\ndata: two\n\n",
    b"data: one\r\n\r\ndata: two\r\n\r\n",
    b"data: one\r\rdata: two\r\r",
    b"data: mixed\r\n\ndata: ends\r\r\ndata: here\n\r\n",
    b"\xef\xbb\xbfdata: after a byte order mark\n\n",
    "data: zwölf Boxkämpfer 🥊 \u2028 \u0085 \x0b end\n\n".encode(),
    b"event: a\ndata: 1\ndata: 2\ndata:\ndata:  3\nid: 7\nretry: 10\n\n",
    b": comment\n\n:also\ndata: x\n: within\ndata: y\n\n",
    b"event: lost\n\ndata: has no type\n\n",
    b"data\n\ndata:\n\nnonsense: 1\ndata: end\n\n",
    b"data: never finished\n",
    b'data: {"a": "b:c"}\n\n\n\n\n',
]


def pieces(parser: EventParser, chunks: Iterable[bytes]) -> list[RawEvent]:
    """All events of the chunks."""
    return [piece for chunk in chunks for piece in parser.feed(chunk)]


def events(found: Iterable[RawEvent]) -> list[tuple[str, str]]:
    """Without the comments, as text."""
    return [(kind.decode(), data.decode()) for kind, data in found if kind != COMMENT]


def by_the_sdk(stream: bytes) -> list[tuple[str, str]]:
    """The OpenAI SDK's parser; it also gives events without data, which the standard does not dispatch."""
    lines = stream.removeprefix(b"\xef\xbb\xbf")
    return [(sse.event or "", sse.data) for sse in SSEDecoder().iter_bytes(iter([lines])) if sse.data]


@pytest.mark.parametrize("stream", STREAMS)
def test_every_split_gives_the_same_events(stream: bytes) -> None:
    """A stream split at any two points, or into single bytes, gives the events of the whole stream."""
    whole = pieces(SseParser(MAX_SIZE), [stream])

    for first, second in itertools.combinations_with_replacement(range(len(stream) + 1), 2):
        assert pieces(SseParser(MAX_SIZE), [stream[:first], stream[first:second], stream[second:]]) == whole
    assert pieces(SseParser(MAX_SIZE), [stream[at : at + 1] for at in range(len(stream))]) == whole


@pytest.mark.parametrize("stream", STREAMS)
def test_agrees_with_the_openai_sdk(stream: bytes) -> None:
    """Events with data are those that the OpenAI SDK's decoder sees."""
    ours = [event for event in events(pieces(SseParser(MAX_SIZE), [stream])) if event[1]]

    assert ours == by_the_sdk(stream)


LINE = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b"data:  c ",
        b"event: e",
        b": note",
        b"",
        b"",
        b"other: x",
        "data: é✓".encode(),
    ]
)
END = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(LINE, END), max_size=30), st.lists(st.integers(0, 400), max_size=5))
def test_any_stream_agrees_with_the_sdk_for_any_split(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """Random lines with random ends, split anywhere, give the events of the SDK's decoder."""
    stream = b"".join(line + end for line, end in lines)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(bounds)]

    ours = [event for event in events(pieces(SseParser(MAX_SIZE), chunks)) if event[1]]

    assert ours == by_the_sdk(stream)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_arbitrary_bytes_are_parsed(stream: bytes, cut: int) -> None:
    """Arbitrary bytes give some events, the same ones for any split."""
    for parser in (SseParser, NdjsonParser):
        assert pieces(parser(MAX_SIZE), [stream[:cut], stream[cut:]]) == pieces(parser(MAX_SIZE), [stream])


@pytest.mark.parametrize("stream", [b"data: x\n\n", b"data: x\r\r", b"data: x\r\n\r"])
def test_an_event_is_emitted_with_its_last_byte(stream: bytes) -> None:
    """No event waits for a byte of the next one, not even for an LF after a CR."""
    assert SseParser(MAX_SIZE).feed(stream) == [(b"", b"x")]


def test_comments_come_in_order() -> None:
    """A comment is a separate event, before the event that contains it."""
    found = pieces(SseParser(MAX_SIZE), [b": one\ndata: x\n:two\n\n"])

    assert found == [(COMMENT, b"one"), (COMMENT, b"two"), (b"", b"x")]


def test_ndjson_lines() -> None:
    """Each non-empty line is an event, with either line end."""
    stream = b'{"a":1}\r\n\n{"b":2}\n{"unfinished'

    for cut in range(len(stream) + 1):
        assert pieces(NdjsonParser(MAX_SIZE), [stream[:cut], stream[cut:]]) == [(b"", b'{"a":1}'), (b"", b'{"b":2}')]


@pytest.mark.parametrize("parser", [SseParser, NdjsonParser])
def test_an_endless_line_is_rejected(parser: type[SseParser | NdjsonParser]) -> None:
    """A line longer than the bound is rejected and not kept."""
    endless = itertools.repeat(b"x" * 1000, MAX_SIZE // 1000 + 2)

    with pytest.raises(TooLargeError, match="line of more than"):
        pieces(parser(MAX_SIZE), endless)


@pytest.mark.parametrize("line", [b"data:\n", b"data: " + b"x" * 1000 + b"\n"])
def test_an_endless_event_is_rejected(line: bytes) -> None:
    """An event with endless lines is rejected, even if they are empty."""
    endless = itertools.repeat(line * 1000, MAX_SIZE // 1000 + 2)

    with pytest.raises(TooLargeError, match="event of more than"):
        pieces(SseParser(MAX_SIZE), endless)

"""The parser emits the same events for any split of the bytes, and the same as another parser."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder
from transcripts import FRAMED

from chaoskit.probe.framing import BARE, COMMENT, CUT, BodyParser, RawEvent

MAX_SIZE = 100_000


def pieces(parser: BodyParser, chunks: Iterable[bytes]) -> list[RawEvent]:
    """All events of the chunks."""
    return [piece for chunk in chunks for piece in parser.feed(chunk)]


def events(found: Iterable[RawEvent]) -> list[tuple[str, str]]:
    """Without comments and what is no event, as text."""
    return [(kind.decode(), data.decode()) for kind, data in found if kind not in (COMMENT, BARE)]


def by_the_sdk(stream: bytes) -> list[tuple[str, str]]:
    """The OpenAI SDK's parser; it also gives events without data, which the standard does not dispatch."""
    lines = stream.removeprefix(b"\xef\xbb\xbf")
    return [(sse.event or "", sse.data) for sse in SSEDecoder().iter_bytes(iter([lines])) if sse.data]


@pytest.mark.parametrize("stream", FRAMED)
def test_every_split_gives_the_same_events(stream: bytes) -> None:
    """A stream split at any two points, or into single bytes, gives the events of the whole stream."""
    whole = pieces(BodyParser(MAX_SIZE), [stream])

    for first, second in itertools.combinations_with_replacement(range(len(stream) + 1), 2):
        assert pieces(BodyParser(MAX_SIZE), [stream[:first], stream[first:second], stream[second:]]) == whole
    assert pieces(BodyParser(MAX_SIZE), [stream[at : at + 1] for at in range(len(stream))]) == whole


@pytest.mark.parametrize("stream", FRAMED)
def test_agrees_with_the_openai_sdk(stream: bytes) -> None:
    """Events with data are those that the OpenAI SDK's decoder sees."""
    ours = [event for event in events(pieces(BodyParser(MAX_SIZE), [stream])) if event[1]]

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

    ours = [event for event in events(pieces(BodyParser(MAX_SIZE), chunks)) if event[1]]

    assert ours == by_the_sdk(stream)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_arbitrary_bytes_are_parsed(stream: bytes, cut: int) -> None:
    """Arbitrary bytes give some events, the same ones for any split."""
    for is_whole in (True, False):
        one, other = BodyParser(MAX_SIZE), BodyParser(MAX_SIZE)

        ours = pieces(one, [stream[:cut], stream[cut:]]) + one.close(is_whole)

        assert ours == pieces(other, [stream]) + other.close(is_whole)


@pytest.mark.parametrize("stream", [b"data: x\n\n", b"data: x\r\r", b"data: x\r\n\r"])
def test_an_event_is_emitted_with_its_last_byte(stream: bytes) -> None:
    """No event waits for a byte of the next one, not even for an LF after a CR."""
    assert BodyParser(MAX_SIZE).feed(stream) == [(b"", b"x")]


def test_comments_come_in_order() -> None:
    """A comment is a separate event, before the event that contains it."""
    found = pieces(BodyParser(MAX_SIZE), [b": one\ndata: x\n:two\n\n"])

    assert found == [(COMMENT, b"one"), (COMMENT, b"two"), (b"", b"x")]


def test_ndjson_lines() -> None:
    """Each line that is an object is an event, with either line end."""
    stream = b'{"a":1}\r\n\n{"b":2}\n{"unfinished'

    for cut in range(len(stream) + 1):
        found = pieces(BodyParser(MAX_SIZE), [stream[:cut], stream[cut:]])
        assert found == [(BARE, b'{"a":1}'), (BARE, b'{"b":2}')]


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b"<html>\n<p>a: b\n\nend", [(BARE, b"<html>\n<p>a: b"), (BARE, b"end")]),
        (b'{\n  "error": {\n    "code": 5\n  }\n}', [(BARE, b'{\n  "error": {\n    "code": 5\n  }\n}')]),
        (b"[{\n}\n,\n{\n}\n]\n", [(BARE, b"[{\n}\n,\n{\n}\n]")]),
        (b'error: {"code": 5}\n\ndata: x\n\n', [(b"error", b'{"code": 5}'), (b"", b"x")]),
        (b"no answer\ndata: x\n\n", [(BARE, b"no answer"), (b"", b"x")]),
        (b"x-debug: 1\ndata: x\n\n", [(b"", b"x")]),
        (b"x-debug: 1\n\n", [(BARE, b"x-debug: 1")]),
        (b"id: 7\n\nretry: 10\n\nevent: e\n\n", [(b"", b""), (b"", b""), (b"e", b"")]),
        (b"data: x", [(b"", b"x")]),
        (b'data: x\n\n{"done": true}', [(b"", b"x"), (BARE, b'{"done": true}')]),
    ],
)
def test_what_is_no_event_is_kept_together(stream: bytes, found: list[RawEvent]) -> None:
    """Pages, texts and JSON in lines are one piece each; fields alone are events without data; the end ends lines."""
    for cut in range(len(stream) + 1):
        parser = BodyParser(MAX_SIZE)
        assert pieces(parser, [stream[:cut], stream[cut:]]) + parser.close(is_whole=True) == found


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b"data: x", [(CUT, b" x")]),
        (b"data: x\ndata: y\n", [(CUT, b"x\ny")]),
        (b"dat", []),
        (b"event: er", []),
        (b'{"error": ', [(CUT, b'{"error": ')]),
        (b"error: no", [(CUT, b" no")]),
        (b"upstream connect err", [(BARE, b"upstream connect err")]),
    ],
)
def test_a_cut_completes_nothing(stream: bytes, found: list[RawEvent]) -> None:
    """What is unfinished when a body is cut is no event; the beginning of a text is a text."""
    parser = BodyParser(MAX_SIZE)

    assert pieces(parser, [stream]) + parser.close(is_whole=False) == found


@pytest.mark.parametrize("line", [b"x" * 1000, b"data: x\n\n" + b"y" * MAX_SIZE])
def test_an_endless_line_is_rejected(line: bytes) -> None:
    """A line longer than the bound is rejected and not kept; what came before it is not lost."""
    parser = BodyParser(MAX_SIZE)

    found = pieces(parser, itertools.repeat(line, MAX_SIZE // len(line) + 2))

    assert found == ([(b"", b"x")] if b"data" in line else [])
    assert "line of more than" in str(parser.failure)


@pytest.mark.parametrize("line", [b"data:\n", b"data: " + b"x" * 1000 + b"\n", b"just text\n"])
def test_an_endless_event_is_rejected(line: bytes) -> None:
    """An event with endless lines is rejected, even if they are empty; so is a text."""
    parser = BodyParser(MAX_SIZE)

    pieces(parser, itertools.repeat(line * 1000, MAX_SIZE // 1000 + 2))

    assert "event of more than" in str(parser.failure)
    assert parser.held <= 2 * MAX_SIZE

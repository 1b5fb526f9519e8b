"""The splitter sees the frames that hyperframe, h2's framing layer, writes."""

import itertools

import pytest
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from chaoskit.probe.framing import MalformedError
from chaoskit.probe.transport import frames
from chaoskit.probe.transport.frames import FrameSplitter


def data(stream: int, body: bytes, padding: int | None = None) -> Frame:
    """A DATA frame."""
    flags = [] if padding is None else ["PADDED"]
    return DataFrame(stream, body, pad_length=padding or 0, flags=flags)


FRAMES: list[Frame] = [
    SettingsFrame(0, settings={3: 100}),
    HeadersFrame(1, b"head", flags=["END_HEADERS"]),
    data(1, b"one"),
    HeadersFrame(3, b"h" * 30, flags=["END_HEADERS"]),
    data(3, b"x" * 300),
    data(1, b""),
    PingFrame(0, b"12345678"),
    data(1, b"two", padding=9),
    RstStreamFrame(3, error_code=8),
    GoAwayFrame(0, last_stream_id=1, error_code=11, additional_data=b"calm down please"),
]
BYTES = [frame.serialize() for frame in FRAMES]
WIRE = b"".join(BYTES)
ENDS = list(itertools.accumulate(len(raw) for raw in BYTES))
SETTINGS = BYTES[0]


def test_a_frame_is_there_with_its_last_byte() -> None:
    """For any split in two, the first part gives the frames that are whole in it, the second one the others."""
    for cut in range(len(WIRE) + 1):
        splitter = FrameSplitter(1000)

        first, no_error = splitter.feed(WIRE[:cut])
        second, neither = splitter.feed(WIRE[cut:])

        assert len(first) == sum(end <= cut for end in ENDS)
        assert [frame.raw for frame in (*first, *second)] == BYTES
        assert (no_error, neither) == (None, None)


def test_frames_are_understood() -> None:
    """Kind, flags, stream, and data without padding, but with the length that flow control counts."""
    found, _ = FrameSplitter(1000).feed(WIRE)

    assert [(one.kind, one.stream) for one in found] == [(frame.type, frame.stream_id) for frame in FRAMES]
    padded = found[7]
    assert (padded.data, padded.length, padded.flags) == (b"two", 13, frames.PADDED)
    assert [one.data for one in found if one.kind == frames.DATA] == [b"one", b"x" * 300, b"", b"two"]


@pytest.mark.parametrize("step", [1, 2, 7, 64])
def test_small_pieces_are_enough(step: int) -> None:
    """Byte by byte gives the same as all at once."""
    splitter = FrameSplitter(1000)

    found = [frame for at in range(0, len(WIRE), step) for frame in splitter.feed(WIRE[at : at + step])[0]]

    assert found == FrameSplitter(1000).feed(WIRE)[0]


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\n",
            "HTTP/1.1: the port does not know HTTP/2; ask for HTTP/1.1: --http 1.1, in a file http: 1.1",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "'SSH-2.0-OpenSSH_9.2', which is no HTTP/2"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "a TLS alert or handshake: the port speaks TLS, write https://"),
        (b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", "bytes 00 00 08 06 00 00 00 00, which is no HTTP/2"),
    ],
)
def test_what_is_no_http2_is_named_at_once(begin: bytes, words: str) -> None:
    """The first bytes of a connection that are no SETTINGS say what they are instead, as soon as they show it."""
    found, error = FrameSplitter(1000).feed(begin)

    assert found == []
    assert isinstance(error, MalformedError)
    assert words in str(error)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", "a frame of more than 16384 bytes"),
        (b"\x00\x00\x01\x00\x08\x00\x00\x00\x01\x01", "more padding than it has bytes"),
    ],
)
def test_frames_before_a_wrong_one_are_kept(wrong: bytes, words: str) -> None:
    """What was whole before the error is returned with it."""
    found, error = FrameSplitter(1000).feed(SETTINGS + BYTES[2] + wrong)

    assert [one.data for one in found] == [b"", b"one"]
    assert words in str(error)

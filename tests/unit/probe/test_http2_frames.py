"""The tap sees the frames that hyper-h2's own framing layer writes."""

import itertools

from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from chaoskit.probe.http2_frames import FrameTracker
from chaoskit.probe.receive_stamps import ReadStamp


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


def fed(*chunks: bytes) -> FrameTracker:
    """A tap that has seen the chunks, each with an arrival whose number is its turn."""
    tracker = FrameTracker(1000)
    for stream in (1, 3):
        tracker.open(stream)
    for number, chunk in enumerate(chunks):
        tracker.feed(chunk, ReadStamp(number, number, number, len(chunk)))
    return tracker


def numbers(tracker: FrameTracker, stream: int) -> list[int]:
    """The arrivals of all DATA frames of a stream."""
    return [arrival.number for arrival in iter(lambda: tracker.next_data(stream), None)]


def test_every_frame_has_the_arrival_that_completed_it() -> None:
    """Cut in two anywhere: a frame belongs to the part that holds its last byte."""
    for cut in range(len(WIRE) + 1):
        tracker = fed(WIRE[:cut], WIRE[cut:])
        part = [0 if end <= cut else 1 for end in ENDS]

        assert numbers(tracker, 1) == [part[2], part[5], part[7]]
        assert numbers(tracker, 3) == [part[4]]
        heads = [tracker.headers(1), tracker.headers(3)]
        assert [head.number for head in heads if head] == [part[1], part[3]]
        assert (tracker.resets, tracker.goaway) == ({3: 8}, 11)


def test_single_bytes_are_enough() -> None:
    """Byte by byte gives the same as all at once."""
    tracker = fed(*(WIRE[at : at + 1] for at in range(len(WIRE))))

    assert numbers(tracker, 1) == [ENDS[2] - 1, ENDS[5] - 1, ENDS[7] - 1]
    assert (tracker.resets, tracker.goaway) == ({3: 8}, 11)


def test_a_forgotten_stream_is_not_collected_any_more() -> None:
    """What still comes for a stream that nobody reads is dropped."""
    tracker = fed(WIRE)

    tracker.stop_tracking(1)
    tracker.feed(data(1, b"late").serialize(), ReadStamp(9, 9, 9, 9))

    assert tracker.next_data(1) is None
    assert tracker.headers(1) is None


def test_frames_pass_as_they_are() -> None:
    """However they are cut, all bytes of frames whose streams are read go on to the real parser."""
    for step in (1, 7, 64, len(WIRE)):
        tracker = fed()

        passed = b"".join(tracker.feed(WIRE[at : at + step], ReadStamp(1, 1, 1, 1)) for at in range(0, len(WIRE), step))

        assert passed == WIRE
        assert (tracker.to_acknowledge, tracker.excess) == (0, "")


def test_data_that_nobody_reads_is_taken_out() -> None:
    """However they are cut, DATA of a stream that has ended are left out and counted, their END_STREAM goes on."""
    late = data(1, b"late" * 9).serialize()
    last = DataFrame(1, b"last", flags=["END_STREAM"]).serialize()
    other = data(3, b"other").serialize()
    wire = late + other + last + other
    for step in (1, 5, len(wire)):
        tracker = fed()
        tracker.stop_tracking(1)

        passed = b"".join(tracker.feed(wire[at : at + step], ReadStamp(1, 1, 1, 1)) for at in range(0, len(wire), step))

        assert passed == other + DataFrame(1, b"", flags=["END_STREAM"]).serialize() + other
        assert tracker.to_acknowledge == 40


def test_data_beyond_the_window_of_a_stream_that_ended_is_too_much() -> None:
    """A server that sends more than its window allows to a stream that has ended ends the connection."""
    tracker = fed()
    tracker.stop_tracking(1)
    frame = data(1, bytes(16_000)).serialize()

    told = []
    for _ in range(1060):
        tracker.feed(frame, ReadStamp(1, 1, 1, 1))
        told.append(tracker.excess)

    assert told[1040] == ""
    assert told[-1] == "more data for streams that have ended than was allowed"

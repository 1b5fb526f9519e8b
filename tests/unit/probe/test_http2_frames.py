"""The tracker sees the frames that hyperframe, h2's framing layer, writes."""

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
    """A tracker that was fed the chunks, each with a stamp numbered in order."""
    tracker = FrameTracker(1000)
    for stream in (1, 3):
        tracker.open(stream)
    for number, chunk in enumerate(chunks):
        tracker.feed(chunk, ReadStamp(number, number, number, len(chunk)))
    return tracker


def numbers(tracker: FrameTracker, stream: int) -> list[int]:
    """The read numbers of all DATA frames of a stream."""
    return [arrival.number for arrival in iter(lambda: tracker.next_data(stream), None)]


def test_every_frame_has_the_read_that_completed_it() -> None:
    """For any split in two: a frame belongs to the part with its last byte."""
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


def test_a_stream_is_not_tracked_after_its_end() -> None:
    """Data for a stream that is no longer read is dropped."""
    tracker = fed(WIRE)

    tracker.stop_tracking(1)
    tracker.feed(data(1, b"late").serialize(), ReadStamp(9, 9, 9, 9))

    assert tracker.next_data(1) is None
    assert tracker.headers(1) is None


def test_tracked_frames_are_not_changed() -> None:
    """For any split, all bytes of frames of tracked streams are returned."""
    for step in (1, 7, 64, len(WIRE)):
        tracker = fed()

        passed = b"".join(tracker.feed(WIRE[at : at + step], ReadStamp(1, 1, 1, 1)) for at in range(0, len(WIRE), step))

        assert passed == WIRE
        assert (tracker.to_acknowledge, tracker.excess) == (0, "")


def test_data_of_ended_streams_is_discarded() -> None:
    """For any split, DATA of an ended stream is discarded and counted; its END_STREAM is kept."""
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


def test_data_beyond_the_window_of_an_ended_stream_is_excess() -> None:
    """A server that exceeds the window of an ended stream ends the connection."""
    tracker = fed()
    tracker.stop_tracking(1)
    frame = data(1, bytes(16_000)).serialize()

    told = []
    for _ in range(1060):
        tracker.feed(frame, ReadStamp(1, 1, 1, 1))
        told.append(tracker.excess)

    assert told[1040] == ""
    assert told[-1] == "more data for streams that have ended than was allowed"

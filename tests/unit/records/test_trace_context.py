"""The header that names a request's trace, made and read."""

import pytest

from chaoskit.records.trace_context import TraceContext, parse_traceparent, trace_of_request, trace_prefix

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"  # the standard's own example


def test_a_request_has_one_trace() -> None:
    """The same seed and number give the same trace, others give others, and the traces of a run begin alike."""
    traces = [trace_of_request(7, stream) for stream in range(100)]

    assert traces == [trace_of_request(7, stream) for stream in range(100)]
    assert len({each.trace for each in traces}) == len({each.parent for each in traces}) == 100
    assert all(each.trace.startswith(trace_prefix(7)) for each in traces)
    assert not trace_of_request(8, 0).trace.startswith(trace_prefix(7))


def test_what_is_made_is_read() -> None:
    """Every header that is made is a header of the standard."""
    for stream in range(1000):
        context = trace_of_request(1, stream)

        assert parse_traceparent(context.header) == context


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}-03",
        f" 00-{TRACE}-{SPAN}-01\t",
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
        f"cc-{TRACE}-{SPAN}-01",
    ],
)
def test_other_headers_are_read_as_the_standard_says(header: str) -> None:
    """Other flags, blanks around it, and later versions with more behind are read."""
    assert parse_traceparent(header) == TraceContext(TRACE, SPAN)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-٠1",
    ],
)
def test_a_wrong_header_is_no_context(header: str) -> None:
    """What the standard calls invalid is as if it were not there."""
    assert parse_traceparent(header) is None

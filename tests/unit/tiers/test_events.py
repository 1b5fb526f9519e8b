"""A model's stream is read event by event, wherever its bytes are split."""

from __future__ import annotations

import pytest

from chaoskit.tiers.events import EventReader
from chaoskit.tiers.failures import CallError

STREAM = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    b': a comment\n\ndata: {"choices":[{"delta":{"content":"one "}}]}\r\n\r\n'
    b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n'
    b'data: {"error":{"message":"x"}}\n\ndata: no json\n\ndata: [DONE]\n\n'
)


def test_events_are_the_same_wherever_the_bytes_are_split() -> None:
    """At every place, also within an end of line."""
    (whole,) = {tuple(EventReader().read(STREAM))}

    for at in range(len(STREAM)):
        reader = EventReader()
        assert (*reader.read(STREAM[:at]), *reader.read(STREAM[at:])) == whole
    assert [each.has_token for each in whole] == [False, False, True, True, False, False, False]
    assert [each.text for each in whole if each.text] == ["one "]
    assert [each.is_error for each in whole].index(True) == 4
    assert [each.is_done for each in whole] == [False] * 6 + [True]


def test_an_event_has_a_bound() -> None:
    """A host that sends one without end does not fill the gateway's memory."""
    reader = EventReader()
    for _ in range(16):
        reader.read(b"x" * (1 << 20))

    with pytest.raises(CallError, match="more than 16 MiB"):
        reader.read(b"x")

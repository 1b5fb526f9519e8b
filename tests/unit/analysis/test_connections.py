"""What the client's connections cost on their own is told, with what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaoskit.analysis.connections import connection_warnings
from chaoskit.records.model import Request

PLAIN = Request(0, 0, 1, 2, "complete", http="HTTP/1.1")
MS = 1_000_000


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"unreachable": ("2001:db8::1",)},
            "2001:db8::1 did not accept a connection within 250 ms, for 1 of 2 requests",
        ),
        ({"queue_duration": 80 * MS}, "1 of 2 requests waited in this client, up to 80 ms"),
        ({"reconnected": True}, "the server had closed the kept connection of 1 of 2 requests"),
    ],
)
def test_what_the_client_did_is_told(changed: dict[str, object], words: str) -> None:
    """Each of them is a sentence with the number of requests that it met."""
    (told,) = connection_warnings([PLAIN, replace(PLAIN, **changed)])  # type: ignore[arg-type]

    assert words in told


def test_nothing_happened_is_nothing_told() -> None:
    """Requests on connections that just worked have no warning, and neither has the client's own work."""
    assert not list(connection_warnings([PLAIN, replace(PLAIN, queue_duration=20_000)]))

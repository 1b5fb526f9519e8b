"""Records TCP_INFO of connections whose data is retransmitted and not acknowledged.

A response may be in the kernel's send buffer long before the client has it, so connections are checked, not responses.
Rules: a check costs one getsockopt per connection; a sample is recorded from the second consecutive retransmission on,
after each further one, and when they have ended; samples are in the order of streams, so that runs are repeatable.
"""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.server.connection import Connection

_MIN_RETRANSMITS = 2  # consecutive timeouts; single ones are ordinary loss


def record_unacked(connections: Iterable[Connection]) -> None:
    """Record samples of connections that retransmit, and a last one when that has ended."""
    by_stream = {each.latest_stream: each for each in connections if each.latest_stream is not None}
    for _, connection in sorted(by_stream.items()):
        count = connection.retransmissions()
        if count >= _MIN_RETRANSMITS:
            if count > connection.recorded_retransmits:
                connection.record_unacked_sample(count)
        elif connection.recorded_retransmits:
            connection.record_unacked_sample(0)

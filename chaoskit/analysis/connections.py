"""Says what the client's connections cost: dead addresses, waits, connections that were made anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from chaoskit.analysis.formatting import format_value
from chaoskit.records.model import Request
from chaoskit.units import counted

_MS = 1_000_000
_NOTICEABLE = _MS  # ns: a shorter wait is the client's own work


def connection_warnings(requests: Sequence[Request]) -> Iterator[str]:
    """One sentence for each, with how many requests it met and what to do."""
    total = counted(len(requests), "request")
    for address, count in Counter(one for request in requests for one in request.unreachable).items():
        yield (
            f"{address} did not accept a connection within 250 ms, for {count} of {total}: another address was used, "
            f"and the time counts; repair it, or take it out of the name: getent ahosts NAME"
        )
    waits = [wait for request in requests if (wait := request.queue_duration or 0) >= _NOTICEABLE]
    if waits:
        yield (
            f"{len(waits)} of {total} waited in this client, up to {format_value(max(waits) / _MS, 'ms')}, for one of "
            "the streams that the server allows on an HTTP/2 connection: latencies from `scheduled` include it; "
            "connections: kept has a connection for each"
        )
    if anew := sum(request.reconnected for request in requests):
        yield (
            f"the server had closed the kept connection of {anew} of {total}: a new one was made, which takes a "
            "handshake; its keep-alive time is shorter than the pause between requests"
        )

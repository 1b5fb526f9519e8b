"""Whether the path was dead for a time, by the connections that this client tried to make in it.

The far end's kernel answers a SYN, whatever its programs do. So where some were sent and none was answered, the path
was dead, or the machine. Where one was answered the path was alive, at least for packets as small as that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.records.model import TCP_HANDSHAKE, Request

_ENOUGH = 500 * MS  # for an answer


class ConnectionAttempts:
    """Those of a run: when each began, and when it was answered, if ever; ns."""

    def __init__(self, requests: Iterable[Request] = ()) -> None:
        self._attempts = sorted(filter(None, map(_attempt, requests)))

    def went_unanswered(self, begin: int, end: int) -> bool:
        """Whether some began in this time, early enough to be answered in it, and none was."""
        first = bisect_left(self._attempts, (begin, 0))
        after = bisect_left(self._attempts, (end - _ENOUGH, 0))
        tried = self._attempts[first:after]
        return bool(tried) and all(answered > end for _, answered in tried)


def _attempt(request: Request) -> tuple[int, int] | None:
    """When the TCP handshake of a request began and ended; None where it made none."""
    if request.connect_duration is not None and request.sent is not None:
        ended = request.sent - (request.tls_duration or 0)
        return ended - request.connect_duration, ended
    if request.completion == "connect_failed" and request.detail.startswith(TCP_HANDSHAKE):
        return request.started + (request.dns_duration or 0), request.ended
    return None

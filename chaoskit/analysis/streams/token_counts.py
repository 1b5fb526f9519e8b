"""Counts tokens as the server does: an event may hold many of them, or a piece of one.

Rules: a stream whose server told no usage, such as an interrupted one, has as many tokens an event as the others have
on average; when no stream has usage, an event counts as a token. Whatever a server says, an event has at most 10,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaoskit.records.model import Request

_MOST = 10_000


@dataclass(frozen=True)
class TokenCounts:
    """Tokens an event of each stream, by number, and the mean of those that told; None when no server told it."""

    per_event: Mapping[int, float]
    told: float | None

    def of(self, stream: int, events: int) -> float:
        """How many tokens so many events of this stream hold."""
        return events * self.per_event.get(stream, self.told or 1.0)


def count_tokens(requests: Iterable[Request]) -> TokenCounts:
    """The counts of these requests' streams."""
    told = [request for request in requests if request.usage and request.tokens]
    tokens, events = sum(request.usage or 0 for request in told), sum(request.tokens for request in told)
    own = {request.stream: min((request.usage or 0) / request.tokens, _MOST) for request in told}
    return TokenCounts(own, min(tokens / events, _MOST) if events else None)

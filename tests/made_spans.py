"""Makes the spans of a request by hand: a gateway's chain, in milliseconds as `made_runs` has them."""

from __future__ import annotations

from typing import Any

from made_runs import Made, ns

from chaoskit.records import span_names as names
from chaoskit.records.spans import Operation, Span


class MadeChain:
    """The spans of one request; each method adds one and returns its identity."""

    def __init__(self, made: Made, trace: str) -> None:
        self._made, self.trace, self._count = made, trace, 0

    def span(
        self,
        parent: str | None,
        host: str,
        operation: Operation,
        begin: float,
        end: float,
        error: str | None = None,
        **attributes: Any,
    ) -> str:
        """A span; attributes by the constants of `span_names`, times of theirs in ns."""
        self._count += 1
        identity = f"{self._count:016x}"
        told = {getattr(names, name): value for name, value in attributes.items()}
        span = Span(self.trace, identity, parent, host, operation, operation, ns(begin), ns(end), error, told)
        self._made.records.append(span)
        return identity

    def call(
        self,
        workflow: str,
        host: str,
        operation: Operation,
        begin: float,
        end: float,
        network: float = 0,
        error: str | None = None,
        answered: bool = True,
        served: dict[str, Any] | None = None,
        **attributes: Any,
    ) -> None:
        """A hop of the gateway with one attempt, and the span of its host, `network` shorter on both sides."""
        hop = self.span(workflow, "gateway", operation, begin, end, error, **attributes)
        attempt = self.span(hop, "gateway", operation, begin, end, error, ATTEMPT=1, SERVER_ADDRESS=host)
        if answered:
            self.span(attempt, host, operation, begin + network, end - network, error, **(served or {}))


def trace(number: int) -> str:
    """The trace of a request with this number."""
    return f"{number + 1:032x}"

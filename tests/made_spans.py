"""Makes the spans of a request by hand: a gateway's chain, in milliseconds as `made_runs` has them."""

from __future__ import annotations

from typing import Any

from made_runs import MS, Made, ns, plan

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


def chain_run(*objectives: str) -> Made:
    """Thirty seconds of chains, of which ten are wifi.

    Every 100 ms a request: `support` for premium, `chat` for batch, in turn. A chain at the gateway, from 1 ms after
    `scheduled`: guard 1-11, vectors 11-61 (support alone), model from 61 (support) or 11 (chat) for 100 ms, of which
    its first token after 20 ms, and 2 ms of network on both sides of each call. During wifi each way to vectors takes
    40 ms more; every fifth retrieval there misses its deadline, and is answered by a fallback.
    """
    work = Made(plan(list(objectives))).phases()
    for number in range(300):
        _request(work, number, number * 100)
    work.counters("wifi", 9000, 1000, 10_000, 20_000).handshakes(1000, [1] * 9).handshakes(11_000, [31] * 9)
    return work


def _request(work: Made, number: int, at: float) -> None:
    """One request and its chain."""
    is_support, in_wifi = number % 2 == 0, 10_000 <= at < 20_000
    longer, has_failed = (40 if in_wifi else 0), in_wifi and number % 10 == 0
    model = at + (61 + (0 if has_failed else 2 * longer) if is_support else 11)
    stream = work.stream(
        at, [model + 2 + 20 + 2 + 1 + 19 * token for token in range(5)],
        trace=trace(number), workflow="support" if is_support else "chat",
        traffic_class="premium" if is_support else "batch",
    )  # fmt: skip
    assert stream == number
    chain = MadeChain(work, trace(number))
    root = chain.span(
        "f" * 16, "gateway", "workflow", at + 1, model + 104, WORKFLOW_NAME="support" if is_support else "chat",
        ADMISSION="queued" if number % 4 == 0 else "admitted", DEGRADED="breadth" if number % 20 == 0 else "",
        FIRST_TOKEN=round((model - at + 23) * MS),
    )  # fmt: skip
    chain.call(root, "guard", "policy", at + 1, at + 11, network=2)
    if is_support:
        outcome = "timeout" if has_failed else "miss" if number % 50 == 2 else "hit"
        fallback: dict[str, Any] = {"RETRIEVAL_FALLBACK": "no-context"} if has_failed else {}
        chain.call(
            root, "vectors", "retrieval", at + 11, model, 2 + longer, "timeout" if has_failed else None,
            answered=not has_failed, RETRIEVAL_OUTCOME=outcome, **fallback,
        )  # fmt: skip
    served = {"MODEL_QUEUE": 5 * MS, "MODEL_PREFILL": 15 * MS, "FIRST_TOKEN": 20 * MS}
    chain.call(root, "model", "model", model, model + 104, network=2, served=served, FIRST_TOKEN=24 * MS)

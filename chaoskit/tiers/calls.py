"""Calls a hop: attempts one after the other or hedged, within timers, a retry budget and breakers.

Each attempt is a span within the hop's. A hop has a list of hosts: each is tried `1 + retries` times before the next
one. An attempt succeeds when `receive` has what it wants of the response: all of it, or a stream's first token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from chaoskit.clock import now
from chaoskit.records import trace_context
from chaoskit.records.span_names import ATTEMPT, CONNECT, HEDGE, SERVER_ADDRESS
from chaoskit.tiers.deadlines import Deadline
from chaoskit.tiers.endpoints import Endpoint, Resolver
from chaoskit.tiers.failures import CallError
from chaoskit.tiers.outgoing import Exchange, OutgoingRequest, Pool
from chaoskit.tiers.restraint import CircuitBreaker, Outcome, RetryBudget
from chaoskit.tiers.settings import Breaker, CallTimers
from chaoskit.tiers.tracing import OpenSpan, Value
from chaoskit.timer import AbsoluteTimer

T = TypeVar("T")
_ERROR = 400  # the first status that is one


@dataclass(frozen=True)
class Call(Generic[T]):
    """What a hop asks, and when it is satisfied. `body` and `headers` are the same for all hosts."""

    hosts: Sequence[Endpoint]
    timers: CallTimers
    body: bytes
    headers: tuple[tuple[str, str], ...]
    receive: Callable[[Exchange], Awaitable[T]]


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What `receive` got, from which host, and the attempt's span, which is still open."""

    value: T
    host: Endpoint
    span: OpenSpan
    exchange: Exchange

    def close(self) -> None:
        """Give it up, where it has not ended."""
        self.exchange.close()
        self.span.end()


class Caller:
    """Makes the calls of one gateway."""

    def __init__(self, timer: AbsoluteTimer, pool: Pool, resolver: Resolver, ratio: float, breaker: Breaker | None):
        """`ratio`: retries for each request, on average."""
        self._timer, self._pool, self._resolver = timer, pool, resolver
        self._budget = RetryBudget(ratio)
        self._breaker = breaker
        self._breakers: dict[Endpoint, CircuitBreaker] = {}

    async def call(self, hop: OpenSpan, asked: Call[T]) -> Answer[T]:
        """The first answer. Raises the CallError of the last attempt."""
        timers = asked.timers
        deadline = None if timers.deadline is None else now() + timers.deadline
        failure = CallError("unresolved", "there is no host to ask")
        self._budget.deposit()
        for host in asked.hosts:
            for number in range(timers.retries + 1):
                if number > 0 and not (self._budget.withdraw() and await self._back_off(timers, number, deadline)):
                    break
                try:
                    return await self._hedged(hop, asked, host, deadline)
                except CallError as error:
                    failure = error
                if not failure.may_be_repeated or (deadline is not None and now() >= deadline):
                    raise failure
                if failure.kind == "breaker":
                    break
        raise failure

    async def _back_off(self, timers: CallTimers, number: int, deadline: int | None) -> bool:
        """Wait before a retry; False where the hop's deadline comes first."""
        until = now() + timers.backoff * 2 ** (number - 1)
        if deadline is not None and until >= deadline:
            return False
        if timers.backoff:
            await self._timer.until(until)
        return True

    async def _hedged(self, hop: OpenSpan, asked: Call[T], host: Endpoint, deadline: int | None) -> Answer[T]:
        """One attempt, and a second one beside it where the first is slow; the first success of the two."""
        if asked.timers.hedge_after is None:
            return await self._attempt(hop, asked, host, deadline)
        changed = asyncio.Event()
        attempts: list[asyncio.Task[Answer[T]]] = []

        def begin(is_hedge: bool) -> None:
            work = self._attempt(hop, asked, host, deadline, is_hedge=is_hedge)
            attempts.append(asyncio.get_running_loop().create_task(work))
            attempts[-1].add_done_callback(lambda _: changed.set())

        begin(is_hedge=False)
        self._timer.at(now() + asked.timers.hedge_after, changed.set)
        winner: Answer[T] | None = None
        try:
            await changed.wait()
            if not attempts[0].done() and self._budget.withdraw():
                begin(is_hedge=True)
            while True:
                done = [each for each in attempts if each.done()]
                winner = next((each.result() for each in done if each.exception() is None), None)
                if winner is not None:
                    return winner
                if len(done) == len(attempts):
                    return attempts[0].result()  # raises
                changed.clear()
                await changed.wait()
        finally:
            for each in attempts:
                _give_up(each, winner)

    async def _attempt(
        self,
        hop: OpenSpan,
        asked: Call[T],
        host: Endpoint,
        deadline: int | None,
        is_hedge: bool = False,
    ) -> Answer[T]:
        hop.attempts += 1
        attributes: dict[str, Value] = {SERVER_ADDRESS: host.host, ATTEMPT: hop.attempts}
        span = hop.child(hop.name, hop.operation, attributes | ({HEDGE: True} if is_hedge else {}))
        breaker = self._breaker_of(host)
        exchange: Exchange | None = None
        is_told = breaker is None
        try:
            if breaker is not None and not breaker.allows(now()):
                is_told = True
                raise CallError("breaker", f"{host.host} has failed too often; it is left alone for a time")
            request = OutgoingRequest(
                host.authority, host.path, ((trace_context.HEADER, span.traceparent), *asked.headers), asked.body
            )
            async with Deadline(self._timer, _earlier(deadline, asked.timers.per_try), "no answer in time"):
                exchange = await self._send(span, host, request, asked.timers.connect)
                try:
                    value = await asked.receive(exchange)
                except CallError:
                    if not (exchange.is_reused and exchange.is_untouched):
                        raise
                    # it had been closed
                    exchange = await self._send(span, host, request, asked.timers.connect, anew=True)
                    value = await asked.receive(exchange)
        except BaseException as error:
            if exchange is not None:
                exchange.close()
            if breaker is not None and not is_told:
                breaker.tell(_outcome(error), now())
            span.__exit__(type(error), error, None)
            raise
        if breaker is not None:
            breaker.tell("success", now())
        return Answer(value, host, span, exchange)

    async def _send(
        self, span: OpenSpan, host: Endpoint, request: OutgoingRequest, patience: int | None, anew: bool = False
    ) -> Exchange:
        address, begin = self._resolver.address(host), now()
        async with Deadline(self._timer, _earlier(None, patience), f"no connection to {host.host} in time"):
            exchange = await (self._pool.send_anew if anew else self._pool.send)(address, request)
        if not exchange.is_reused:
            span.attributes[CONNECT] = now() - begin
        return exchange

    def _breaker_of(self, host: Endpoint) -> CircuitBreaker | None:
        if self._breaker is None:
            return None
        return self._breakers.setdefault(host, CircuitBreaker(self._breaker))


async def whole_body(exchange: Exchange) -> bytes:
    """`receive` of a call without streaming: the body of a success. Raises CallError with the status of any other."""
    status = await exchange.head()
    body = await exchange.body()
    if status >= _ERROR:
        raise CallError(status, f"HTTP {status}: {body[:200].decode(errors='replace')}")
    return body


def _earlier(deadline: int | None, span: int | None) -> int | None:
    """The earlier of a stamp and the end of a span from now on."""
    ends = [each for each in (deadline, None if span is None else now() + span) if each is not None]
    return min(ends, default=None)


def _outcome(error: BaseException) -> Outcome:
    """What an error says of the host, for its breaker."""
    if not isinstance(error, CallError):
        return "unknown"
    return "failure" if error.may_be_repeated else "success"


def _give_up(attempt: asyncio.Task[Answer[T]], winner: Answer[T] | None) -> None:
    """End an attempt that has lost."""
    if not attempt.done():
        attempt.cancel()
    elif not attempt.cancelled() and attempt.exception() is None and attempt.result() is not winner:
        attempt.result().close()

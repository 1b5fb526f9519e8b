"""Calls a hop: attempts one after the other or hedged, within timers, a retry budget and breakers.

Each attempt is a span within the hop's. A hop has a list of hosts: each is tried `1 + retries` times before the next
one. An attempt succeeds when `receive` has what it wants of the response: all of it, or a stream's first token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

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
Headers = tuple[tuple[str, str], ...]
Post = Callable[[bytes, Headers], Awaitable[tuple[bytes, Exchange]]]
"""Sends a body with header fields to the host of an attempt, and has its answer. Raises CallError."""
_ERROR = 400  # the first status that is one


class Session(Protocol):
    """What a host must have agreed to before it is asked."""

    async def headers(self, host: Endpoint, post: Post) -> Headers:
        """The fields that name it; where there is none, it is opened by `post`. Raises CallError."""

    def is_lost(self, host: Endpoint, headers: Headers, error: CallError) -> bool:
        """Whether an error says that the host does not know it any more; then the next one is another."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """What a hop asks, and when it is satisfied. `body` and `headers` are the same for all hosts."""

    hosts: Sequence[Endpoint]
    timers: CallTimers
    body: bytes
    headers: Headers
    receive: Callable[[Exchange], Awaitable[T]]
    session: Session | None = None


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
        is_told = breaker is None
        try:
            if breaker is not None and not breaker.allows(now()):
                is_told = True
                raise CallError("breaker", f"{host.host} has failed too often; it is left alone for a time")
            async with Deadline(self._timer, _earlier(deadline, asked.timers.per_try), "no answer in time"):
                value, exchange = await self._asked(span, host, asked)
        except BaseException as error:
            if breaker is not None and not is_told:
                breaker.tell(_outcome(error), now())
            span.__exit__(type(error), error, None)
            raise
        if breaker is not None:
            breaker.tell("success", now())
        return Answer(value, host, span, exchange)

    async def _asked(self, span: OpenSpan, host: Endpoint, asked: Call[T]) -> tuple[T, Exchange]:
        """What is received of it, in a new session where the host has lost the former one."""
        session, connect = asked.session, asked.timers.connect
        is_new = session is None
        while True:
            fields: Headers = ()
            if session is not None:
                fields = await session.headers(host, partial(self._post, span, host, connect))
            request = _request(span, host, (*asked.headers, *fields), asked.body)
            try:
                return await self._exchange(span, host, request, connect, asked.receive)
            except CallError as error:
                if is_new or session is None or not session.is_lost(host, fields, error):
                    raise
                is_new = True

    async def _post(
        self, span: OpenSpan, host: Endpoint, connect: int | None, body: bytes, headers: Headers
    ) -> tuple[bytes, Exchange]:
        return await self._exchange(span, host, _request(span, host, headers, body), connect, whole_body)

    async def _exchange(
        self,
        span: OpenSpan,
        host: Endpoint,
        request: OutgoingRequest,
        connect: int | None,
        receive: Callable[[Exchange], Awaitable[T]],
    ) -> tuple[T, Exchange]:
        """What is received of one request; it is sent again where a kept connection had been closed."""
        exchange = await self._send(span, host, request, connect)
        try:
            return await _received(exchange, receive), exchange
        except CallError:
            if not (exchange.is_reused and exchange.is_untouched):
                raise
        exchange = await self._send(span, host, request, connect, anew=True)
        return await _received(exchange, receive), exchange

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


def _request(span: OpenSpan, host: Endpoint, headers: Headers, body: bytes) -> OutgoingRequest:
    return OutgoingRequest(host.authority, host.path, ((trace_context.HEADER, span.traceparent), *headers), body)


async def _received(exchange: Exchange, receive: Callable[[Exchange], Awaitable[T]]) -> T:
    """What `receive` gets; where it fails the exchange is closed."""
    try:
        return await receive(exchange)
    except BaseException:
        exchange.close()
        raise


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

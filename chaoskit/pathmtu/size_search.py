"""Searches the largest packet that reaches the host: the next probe, and what the replies prove. Pure.

| what came back                        | what it proves                                                          |
|---------------------------------------|-------------------------------------------------------------------------|
| a reply of the host                   | this size passes                                                        |
| "too big" from a router, its MTU is M | M+1 does not pass; M is tried next                                      |
| nothing                               | nothing yet: the search continues as if this size did not pass          |
| nothing to the deciding size, three   | it does not pass: it was lost three times, with pauses, by every method |
| times, and replies to small probes    | that the host answers, five packets and more, and each time a small     |
|                                       | probe passed afterwards                                                 |
| nothing to small probes either        | nothing: a router or host limits its rate, and the search slows down    |

So a lost reply costs packets and not correctness: if a size passes after all, conclusions from its loss are withdrawn.
Any five lost replies leave the result exact; six well-chosen ones make it wrong, or undecided.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chaoskit.pathmtu.probes import (
    SECOND,
    SMALL,
    Answer,
    Method,
    NoReply,
    Pause,
    Probe,
    Procedure,
    Reply,
    TooBig,
    Unreachable,
)

PLATEAUS = (576, 1006, 1280, 1400, 1420, 1450, 1480, 1492, 1500)  # RFC 1191, and current tunnels and PPPoE
_LEAST = 68  # bytes; RFC 791: every link takes this much, so a smaller claim is ignored
_PREFERRED: tuple[Method, ...] = ("echo", "tcp", "udp")  # hosts answer few UDP probes a second
_PAUSES = (0, 3 * SECOND // 10, SECOND)  # before each deciding round
_FIRST_BURST = 3  # packets in the first deciding round; later rounds send one
_RATE_LIMIT_PAUSE = SECOND  # for rate limits; Linux sends one "port unreachable" a second (icmp(7))
_MAX_PAUSE = 4 * SECOND
_MAX_UNANSWERED = 6  # rounds in a row without a reply to a small probe, then give up


def next_size(passes: int, ceiling: int | None, is_signalled: bool, link_mtu: int) -> int | None:
    """The size to try: above `passes` and below `ceiling`, which does not pass. None when nothing lies between.

    First the link's MTU, then the MTU that a router reported (`is_signalled`: the ceiling is one more than that), then
    the plateaus, then one more than a plateau that passes, because that is often the limit, then bisection.
    """
    if ceiling is None:
        return link_mtu if passes < link_mtu else None
    if ceiling - passes <= 1:
        return None
    if is_signalled:
        return ceiling - 1
    between = [size for size in PLATEAUS if passes < size < ceiling]
    if between:
        return between[len(between) // 2]
    return passes + 1 if passes in PLATEAUS else (passes + ceiling) // 2


@dataclass
class SizeSearch:
    """The state of the search. `methods`: those that can be sent; `bare_syn`: the size of a SYN without data.

    `find_responders` finds the methods that the host answers, `measure` the size; both may stop at any step.
    """

    methods: tuple[Method, ...]
    link_mtu: int
    bare_syn: int = 64
    responding: tuple[Method, ...] = ()
    passes: int = 0
    fails: dict[int, TooBig | None] = field(default_factory=dict)  # None: lost without an ICMP error
    confirmed: int | None = None
    unreachable: Unreachable | None = None
    mss: int | None = None
    port: str | None = None  # "open" or "closed"
    distance: int | None = None  # hops to the host, from the TTL of its reply
    is_limited: bool = False  # too few replies for a result
    is_one_way: bool = False  # large echo requests arrive, and their replies do not
    _has_loss: bool = False  # a probe was lost whose size passes

    @property
    def ceiling(self) -> int | None:
        """The smallest size that does not seem to pass."""
        return min(self.fails, default=None)

    @property
    def signal(self) -> TooBig | None:
        """The "too big" for the ceiling, if a router sent one."""
        return self.fails[self.ceiling] if self.ceiling is not None else None

    @property
    def is_exact(self) -> bool:
        """Whether `passes` is the path MTU, or the MTU of the link."""
        if not self.passes:
            return False
        if self.ceiling is None:
            return self.passes == self.link_mtu
        return self.ceiling == self.passes + 1 and (self.signal is not None or self.confirmed == self.ceiling)

    def find_responders(self) -> Procedure[None]:
        """Send small probes by every method; repeat unanswered ones once, and twice if none is answered."""
        silent = self.methods
        for turn in range(3):
            answers = yield tuple(Probe(method, SMALL) for method in silent)
            for method, answer in zip(silent, answers, strict=True):
                self._record(method, SMALL, answer)
            silent = tuple(method for method in self.methods if method not in self.responding)
            if not silent or (turn == 1 and self.responding):
                break
        if "tcp" in silent:  # some hosts drop a SYN with data; try again without, for the MSS
            (answer,) = yield (Probe("tcp", self.bare_syn),)
            self._learn("tcp", answer)

    def measure(self) -> Procedure[None]:
        """Try sizes until `is_exact`, or until rate limits leave too few replies."""
        while self.responding and not self.is_limited and not self.is_exact:
            is_signalled = self.signal is not None and self.signal.mtu + 1 == self.ceiling
            size = next_size(self.passes, self.ceiling, is_signalled, self.link_mtu)
            if size is not None:
                yield from self._try(size)
            elif self.ceiling is not None:
                yield from self._confirm(self.ceiling)

    @property
    def method(self) -> Method:
        """The method of the size probes."""
        return next(
            method for method in _PREFERRED if method in self.responding and not (method == "echo" and self.is_one_way)
        )

    def _try(self, size: int) -> Procedure[None]:
        """Probe once; after losses, twice, with a small probe between the two."""
        answer: Answer
        (answer,) = yield (Probe(self.method, size),)
        if isinstance(answer, NoReply) and self._has_loss:
            (small,) = yield (Probe(self.method, SMALL),)
            if isinstance(small, NoReply):
                yield Pause(_RATE_LIMIT_PAUSE)
            (answer,) = yield (Probe(self.method, size),)
        self._record(self.method, size, answer)

    def _confirm(self, size: int) -> Procedure[None]:
        """Confirm that the size is lost: three more times, each followed by a small probe that passes."""
        lost = unanswered = 0
        methods = self._first_burst()
        while lost < len(_PAUSES):
            pause = min(_RATE_LIMIT_PAUSE * 2**unanswered, _MAX_PAUSE) if unanswered else _PAUSES[lost]
            if pause:
                yield Pause(pause)
            answers = yield tuple(Probe(method, size) for method in methods)
            informative = [
                (method, answer) for method, answer in zip(methods, answers, strict=True) if _is_informative(answer)
            ]
            if informative:
                yield from self._withdraw(size, informative)
                return
            methods = (self.method,)
            (small,) = yield (Probe(self.method, SMALL),)
            if isinstance(small, NoReply):
                unanswered += 1
                self._has_loss = True
                self.is_limited = unanswered >= _MAX_UNANSWERED
                if self.is_limited:
                    return
            else:
                lost, unanswered = lost + 1, 0
        self.confirmed = size

    def _first_burst(self) -> tuple[Method, ...]:
        """The methods of the first deciding round: all of them, and several packets if there is only one."""
        methods = (self.method, *(method for method in self.responding if method != self.method))
        return methods + (self.method,) * (_FIRST_BURST - len(methods))

    def _withdraw(self, size: int, informative: list[tuple[Method, Answer]]) -> Procedure[None]:
        """Withdraw conclusions from losses: a size that seemed lost was answered."""
        self._has_loss = True
        if (
            all(method != "echo" for method, _ in informative)
            and self.method == "echo"
            and isinstance(informative[0][1], Reply)
        ):
            again = yield (Probe("echo", size),) * _FIRST_BURST
            self.is_one_way = not any(isinstance(answer, Reply) for answer in again)
        if any(isinstance(answer, Reply) for _, answer in informative):
            self.fails = {failed: signal for failed, signal in self.fails.items() if signal is not None}
        method, answer = informative[0]
        self._record(method, size, answer)

    def _record(self, method: Method, size: int, answer: Answer) -> None:
        match answer:
            case Reply():
                self._learn(method, answer)
                if method not in self.responding:
                    self.responding = (*self.responding, method)
                self.passes = max(self.passes, size)
                self.fails = {failed: signal for failed, signal in self.fails.items() if failed > size}
            case TooBig(mtu=mtu) if _LEAST <= mtu < size:
                self.fails[mtu + 1] = answer
            case TooBig():
                self.fails[size] = answer
            case _ if size > self.passes and self.passes:
                self.fails[size] = None
        if isinstance(answer, Unreachable):
            self.unreachable = answer

    def _learn(self, method: Method, answer: Answer) -> None:
        if not isinstance(answer, Reply):
            return
        if method == "tcp":
            self.port = "open" if answer.is_open else "closed"
            self.mss = answer.mss if answer.mss is not None else self.mss
        if answer.ttl is not None:
            self.distance = hops(answer.ttl)


def _is_informative(answer: Answer) -> bool:
    """Whether the answer depends on the size of the probe."""
    return isinstance(answer, Reply | TooBig)


def hops(ttl: int) -> int:
    """The hops that a packet has travelled, from its TTL: systems start at 64, 128 or 255."""
    return next(first for first in (64, 128, 255) if ttl <= first) - ttl + 1

"""How large a packet may be: which probe is next, and what the answers so far prove. Pure.

| what came back                        | what it proves                                                          |
|---------------------------------------|-------------------------------------------------------------------------|
| the host answers                      | this size passes                                                        |
| a router says "too big", its MTU is M | M+1 does not pass; M is tried next                                      |
| nothing                               | nothing yet: the search goes on as if this size did not pass            |
| nothing to the size that decides,     | it does not pass: it was lost three times, spaced out, by every way     |
| three times, and small ones answered  | that the host answers, five packets and more, and each time a small     |
|                                       | probe passed afterwards                                                 |
| nothing to small ones either          | nothing: somebody limits his answers, and the search slows down         |

So a lost answer costs packets and never truth: a size that passes after all undoes what was built on its loss. Any
five of them leave the size exact; six that are well chosen deceive us, or make us give up.
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

PLATEAUS = (576, 1006, 1280, 1400, 1420, 1450, 1480, 1492, 1500)  # RFC 1191's, and today's tunnels and PPPoE
_LEAST = 68  # bytes; RFC 791: every link takes that much, so who says less says nothing
_PREFERRED: tuple[Method, ...] = ("echo", "tcp", "udp")  # hosts answer few UDP probes a second
_PAUSES = (0, 3 * SECOND // 10, SECOND)  # before each round that decides
_FIRST_BURST = 3  # packets of the first of them; each later one has one
_RATE_LIMIT_PAUSE = SECOND  # for who limits his answers; Linux gives one "port unreachable" a second (icmp(7))
_MAX_PAUSE = 4 * SECOND
_MAX_UNANSWERED = 6  # rounds in a row without a small answer, after which nothing can be told


def next_size(passes: int, ceiling: int | None, is_signalled: bool, link_mtu: int) -> int | None:
    """The size to try: above `passes` and below `ceiling`, which does not pass. None when nothing lies between.

    First all that the link takes, then what a router told (`is_signalled`: the ceiling is one more than that), then the
    plateaus, then one more than a plateau that passes, because it is often the limit, then halves.
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
    """What is known so far. `methods`: those that can be sent; `link_mtu`: what the link takes; `bare_syn`: a SYN without data.

    `find_responders` finds out who answers, `measure` the size; both may be left at any step.
    """

    methods: tuple[Method, ...]
    link_mtu: int
    bare_syn: int = 64
    responding: tuple[Method, ...] = ()
    passes: int = 0
    fails: dict[int, TooBig | None] = field(default_factory=dict)  # None: lost without a word
    confirmed: int | None = None
    unreachable: Unreachable | None = None
    mss: int | None = None
    port: str | None = None  # "open" or "closed"
    distance: int | None = None  # hops to the host, as its answer's TTL tells
    is_limited: bool = False  # so few answers that nothing can be told
    is_one_way: bool = False  # large echoes reach the host, and their answers do not come back
    _has_loss: bool = False  # something was lost that passes

    @property
    def ceiling(self) -> int | None:
        """The least size that does not seem to pass."""
        return min(self.fails, default=None)

    @property
    def signal(self) -> TooBig | None:
        """Who says so."""
        return self.fails[self.ceiling] if self.ceiling is not None else None

    @property
    def is_exact(self) -> bool:
        """Whether `passes` is the path MTU, or all that the link takes."""
        if not self.passes:
            return False
        if self.ceiling is None:
            return self.passes == self.link_mtu
        return self.ceiling == self.passes + 1 and (self.signal is not None or self.confirmed == self.ceiling)

    def find_responders(self) -> Procedure[None]:
        """Small probes by every way, twice where nobody answers; thrice when nobody answers at all."""
        silent = self.methods
        for turn in range(3):
            answers = yield tuple(Probe(method, SMALL) for method in silent)
            for method, answer in zip(silent, answers, strict=True):
                self._record(method, SMALL, answer)
            silent = tuple(method for method in self.methods if method not in self.responding)
            if not silent or (turn == 1 and self.responding):
                break
        if "tcp" in silent:  # not everybody likes data in a SYN; the MSS is worth another try
            (answer,) = yield (Probe("tcp", self.bare_syn),)
            self._learn("tcp", answer)

    def measure(self) -> Procedure[None]:
        """Try sizes until `is_exact`, or until who answers has too few answers to give."""
        while self.responding and not self.is_limited and not self.is_exact:
            is_signalled = self.signal is not None and self.signal.mtu + 1 == self.ceiling
            size = next_size(self.passes, self.ceiling, is_signalled, self.link_mtu)
            if size is not None:
                yield from self._try(size)
            elif self.ceiling is not None:
                yield from self._confirm(self.ceiling)

    @property
    def method(self) -> Method:
        """The way that sizes are asked by."""
        return next(
            method for method in _PREFERRED if method in self.responding and not (method == "echo" and self.is_one_way)
        )

    def _try(self, size: int) -> Procedure[None]:
        """Once; with care, twice, and with a small probe between the two."""
        answer: Answer
        (answer,) = yield (Probe(self.method, size),)
        if isinstance(answer, NoReply) and self._has_loss:
            (small,) = yield (Probe(self.method, SMALL),)
            if isinstance(small, NoReply):
                yield Pause(_RATE_LIMIT_PAUSE)
            (answer,) = yield (Probe(self.method, size),)
        self._record(self.method, size, answer)

    def _confirm(self, size: int) -> Procedure[None]:
        """Lose it again three times, each followed by a small one that passes; or be glad that it passes."""
        lost = unanswered = 0
        methods = self._first_burst()
        while lost < len(_PAUSES):
            pause = min(_RATE_LIMIT_PAUSE * 2**unanswered, _MAX_PAUSE) if unanswered else _PAUSES[lost]
            if pause:
                yield Pause(pause)
            answers = yield tuple(Probe(method, size) for method in methods)
            heard = [
                (method, answer) for method, answer in zip(methods, answers, strict=True) if _is_informative(answer)
            ]
            if heard:
                yield from self._withdraw(size, heard)
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
        """The ways of the first round that decides: all, and not one packet alone where there is one way."""
        methods = (self.method, *(method for method in self.responding if method != self.method))
        return methods + (self.method,) * (_FIRST_BURST - len(methods))

    def _withdraw(self, size: int, heard: list[tuple[Method, Answer]]) -> Procedure[None]:
        """Something came back where nothing had: what was only lost may pass as well."""
        self._has_loss = True
        if all(method != "echo" for method, _ in heard) and self.method == "echo" and isinstance(heard[0][1], Reply):
            again = yield (Probe("echo", size),) * _FIRST_BURST
            self.is_one_way = not any(isinstance(answer, Reply) for answer in again)
        if any(isinstance(answer, Reply) for _, answer in heard):
            self.fails = {failed: signal for failed, signal in self.fails.items() if signal is not None}
        method, answer = heard[0]
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
    """Whether it says something about the size."""
    return isinstance(answer, Reply | TooBig)


def hops(ttl: int) -> int:
    """How many hops a packet has come, for the TTL that it still had: systems begin at 64, 128 or 255."""
    return next(first for first in (64, 128, 255) if ttl <= first) - ttl + 1

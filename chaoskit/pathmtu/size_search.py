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

from chaoskit.pathmtu.probes import SECOND, SMALL, Answer, Barred, How, Pause, Probe, Reply, Silence, Talk, TooBig

PLATEAUS = (576, 1006, 1280, 1400, 1420, 1450, 1480, 1492, 1500)  # RFC 1191's, and today's tunnels and PPPoE
_LEAST = 68  # bytes; RFC 791: every link takes that much, so who says less says nothing
_PREFERRED: tuple[How, ...] = ("echo", "tcp", "udp")  # hosts answer few UDP probes a second
_SPACES = (0, 3 * SECOND // 10, SECOND)  # before each round that decides
_AT_ONCE = 3  # packets of the first of them; each later one has one
_BREATH = SECOND  # for who limits his answers; Linux gives one "port unreachable" a second (icmp(7))
_LONGEST_BREATH = 4 * SECOND
_VOIDS = 6  # rounds in a row without a small answer, after which nothing can be told


def next_size(passes: int, ceiling: int | None, is_told: bool, top: int) -> int | None:
    """The size to try: above `passes` and below `ceiling`, which does not pass. None when nothing lies between.

    First all that the link takes, then what a router told (`is_told`: the ceiling is one more than that), then the
    plateaus, then one more than a plateau that passes, because it is often the limit, then halves.
    """
    if ceiling is None:
        return top if passes < top else None
    if ceiling - passes <= 1:
        return None
    if is_told:
        return ceiling - 1
    between = [size for size in PLATEAUS if passes < size < ceiling]
    if between:
        return between[len(between) // 2]
    return passes + 1 if passes in PLATEAUS else (passes + ceiling) // 2


@dataclass
class Search:
    """What is known so far. `ways`: those that can be sent; `top`: what the link takes; `bare`: a SYN without data.

    `greet` finds out who answers, `measure` the size; both may be left at any step.
    """

    ways: tuple[How, ...]
    top: int
    bare: int = 64
    alive: tuple[How, ...] = ()
    passes: int = 0
    fails: dict[int, TooBig | None] = field(default_factory=dict)  # None: lost without a word
    confirmed: int | None = None
    barred: Barred | None = None
    mss: int | None = None
    port: str | None = None  # "open" or "closed"
    distance: int | None = None  # hops to the host, as its answer's TTL tells
    is_limited: bool = False  # so few answers that nothing can be told
    is_one_way: bool = False  # large echoes reach the host, and their answers do not come back
    _is_careful: bool = False  # something was lost that passes

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
            return self.passes == self.top
        return self.ceiling == self.passes + 1 and (self.signal is not None or self.confirmed == self.ceiling)

    def greet(self) -> Talk[None]:
        """Small probes by every way, twice where nobody answers; thrice when nobody answers at all."""
        silent = self.ways
        for turn in range(3):
            answers = yield tuple(Probe(how, SMALL) for how in silent)
            for how, answer in zip(silent, answers, strict=True):
                self._hear(how, SMALL, answer)
            silent = tuple(how for how in self.ways if how not in self.alive)
            if not silent or (turn == 1 and self.alive):
                break
        if "tcp" in silent:  # not everybody likes data in a SYN; the MSS is worth another try
            (answer,) = yield (Probe("tcp", self.bare),)
            self._learn("tcp", answer)

    def measure(self) -> Talk[None]:
        """Try sizes until `is_exact`, or until who answers has too few answers to give."""
        while self.alive and not self.is_limited and not self.is_exact:
            is_told = self.signal is not None and self.signal.mtu + 1 == self.ceiling
            size = next_size(self.passes, self.ceiling, is_told, self.top)
            if size is not None:
                yield from self._try(size)
            elif self.ceiling is not None:
                yield from self._confirm(self.ceiling)

    @property
    def way(self) -> How:
        """The way that sizes are asked by."""
        return next(how for how in _PREFERRED if how in self.alive and not (how == "echo" and self.is_one_way))

    def _try(self, size: int) -> Talk[None]:
        """Once; with care, twice, and with a small probe between the two."""
        answer: Answer
        (answer,) = yield (Probe(self.way, size),)
        if isinstance(answer, Silence) and self._is_careful:
            (small,) = yield (Probe(self.way, SMALL),)
            if isinstance(small, Silence):
                yield Pause(_BREATH)
            (answer,) = yield (Probe(self.way, size),)
        self._hear(self.way, size, answer)

    def _confirm(self, size: int) -> Talk[None]:
        """Lose it again three times, each followed by a small one that passes; or be glad that it passes."""
        lost = void = 0
        ways = self._all_at_once()
        while lost < len(_SPACES):
            pause = min(_BREATH * 2**void, _LONGEST_BREATH) if void else _SPACES[lost]
            if pause:
                yield Pause(pause)
            answers = yield tuple(Probe(how, size) for how in ways)
            heard = [(how, answer) for how, answer in zip(ways, answers, strict=True) if _tells(answer)]
            if heard:
                yield from self._reconsider(size, heard)
                return
            ways = (self.way,)
            (small,) = yield (Probe(self.way, SMALL),)
            if isinstance(small, Silence):
                void += 1
                self._is_careful = True
                self.is_limited = void >= _VOIDS
                if self.is_limited:
                    return
            else:
                lost, void = lost + 1, 0
        self.confirmed = size

    def _all_at_once(self) -> tuple[How, ...]:
        """The ways of the first round that decides: all, and not one packet alone where there is one way."""
        ways = (self.way, *(how for how in self.alive if how != self.way))
        return ways + (self.way,) * (_AT_ONCE - len(ways))

    def _reconsider(self, size: int, heard: list[tuple[How, Answer]]) -> Talk[None]:
        """Something came back where nothing had: what was only lost may pass as well."""
        self._is_careful = True
        if all(how != "echo" for how, _ in heard) and self.way == "echo" and isinstance(heard[0][1], Reply):
            again = yield (Probe("echo", size),) * _AT_ONCE
            self.is_one_way = not any(isinstance(answer, Reply) for answer in again)
        if any(isinstance(answer, Reply) for _, answer in heard):
            self.fails = {failed: signal for failed, signal in self.fails.items() if signal is not None}
        how, answer = heard[0]
        self._hear(how, size, answer)

    def _hear(self, how: How, size: int, answer: Answer) -> None:
        match answer:
            case Reply():
                self._learn(how, answer)
                if how not in self.alive:
                    self.alive = (*self.alive, how)
                self.passes = max(self.passes, size)
                self.fails = {failed: signal for failed, signal in self.fails.items() if failed > size}
            case TooBig(mtu=mtu) if _LEAST <= mtu < size:
                self.fails[mtu + 1] = answer
            case TooBig():
                self.fails[size] = answer
            case _ if size > self.passes and self.passes:
                self.fails[size] = None
        if isinstance(answer, Barred):
            self.barred = answer

    def _learn(self, how: How, answer: Answer) -> None:
        if not isinstance(answer, Reply):
            return
        if how == "tcp":
            self.port = "open" if answer.is_open else "closed"
            self.mss = answer.mss if answer.mss is not None else self.mss
        if answer.ttl is not None:
            self.distance = hops(answer.ttl)


def _tells(answer: Answer) -> bool:
    """Whether it says something about the size."""
    return isinstance(answer, Reply | TooBig)


def hops(ttl: int) -> int:
    """How many hops a packet has come, for the TTL that it still had: systems begin at 64, 128 or 255."""
    return next(first for first in (64, 128, 255) if ttl <= first) - ttl + 1

"""Where large packets end: a large and a small probe under the same TTL, between this machine and the host. Pure.

A hop that answers a large probe was reached by it. One that answers only small ones was not: that is asked twice,
spaced out, because routers limit how many "time exceeded" they send, and of the hop that is named at last thrice
more. One that answers neither tells nothing, and its neighbours are asked instead; those that lie between the two
hops in the end are asked once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chaoskit.pathmtu.probes import SECOND, SMALL, Expired, Hop, How, Narrow, Pause, Probe, Reply, Silence, Talk, TooBig

_FURTHER = 8  # hops that the way there may be longer than the way back
_SPACE = SECOND // 2
_BREATH = SECOND  # Linux gives one "time exceeded" a second to who had six (icmp(7))
_AT_LAST = 3  # large probes for the first hop that they do not reach

OURSELVES = Hop(0, None)


@dataclass
class Hunt:
    """What is known so far about where packets of `size` end. The host seems to be `far` hops away."""

    size: int
    how: How
    far: int
    low: Hop = OURSELVES
    high: Hop = OURSELVES
    _mute: set[int] = field(default_factory=set)
    _asked_again: set[int] = field(default_factory=set)

    def steps(self) -> Talk[Narrow | TooBig | None]:
        """Halve the way until the two hops are known; a router that speaks up after all ends the hunt with its words.

        None when the host answers to the large ones now.
        """
        self.high = end = yield from self._host()
        while True:
            told = yield from self._halve()
            if told is not None:
                return told if isinstance(told, TooBig) else None
            if self._ask_the_mute():
                continue
            if self.high == end:
                return Narrow(self.low, self.high)
            assert self.high.index is not None
            yield Pause(_SPACE)
            answers = yield (Probe(self.how, self.size, self.high.index),) * _AT_LAST
            answer = next((each for each in answers if isinstance(each, Expired | TooBig | Reply)), None)
            match answer:
                case Expired(hop=address):  # it was lost by chance
                    self.low, self.high = Hop(self.high.index, address), end
                case TooBig():
                    return answer
                case Reply():
                    return None
                case None:
                    return Narrow(self.low, self.high)

    def _halve(self) -> Talk[TooBig | Reply | None]:
        """Until nothing lies between that may tell; or until somebody speaks up, or the host answers."""
        while (at := self._between()) is not None:
            (answer,) = yield (Probe(self.how, self.size, at),)
            if isinstance(answer, Silence):
                answer = yield from self._again(at)
            match answer:
                case TooBig() | Reply():
                    return answer
                case Expired(hop=address):
                    self.low = Hop(at, address)
        return None

    def _ask_the_mute(self) -> bool:
        """Whether hops between the two are to be asked once more, now that all others have answered."""
        assert self.low.index is not None
        assert self.high.index is not None
        between = self._mute & set(range(self.low.index + 1, self.high.index)) - self._asked_again
        self._mute -= between
        self._asked_again |= between
        return bool(between)

    def _host(self) -> Talk[Hop]:
        """As far as the host can be: as far as it seems, when nothing is heard of a router there."""
        (answer,) = yield (Probe(self.how, SMALL, self.far),)
        return Hop(self.far + _FURTHER if isinstance(answer, Expired) else self.far, None)

    def _between(self) -> int | None:
        """The hop to ask next: the middle of those that may tell something."""
        assert self.low.index is not None
        assert self.high.index is not None
        left = [at for at in range(self.low.index + 1, self.high.index) if at not in self._mute]
        return left[len(left) // 2] if left else None

    def _again(self, at: int) -> Talk[Expired | TooBig | Reply | Silence]:
        """A large one was lost here: see whether small ones are not, and lose it once more."""
        (small,) = yield (Probe(self.how, SMALL, at),)
        match small:
            case Reply():
                self.high = Hop(at, None)
            case Expired(hop=address):
                yield Pause(_SPACE)
                (answer,) = yield (Probe(self.how, self.size, at),)
                if isinstance(answer, Expired | TooBig | Reply):
                    return answer
                self.high = Hop(at, address)
            case _:
                self._mute.add(at)
        return Silence()


def locate(signal: TooBig, how: How, far: int) -> Talk[Hop]:
    """How far away the router that spoke up is: known when a small probe that ends there is answered by the same.

    Some quote a packet as it came, some with its TTL counted down already (Linux: as it came in IPv4, not in IPv6).
    Where the TTL is not known, all hops to the host, which is `far` away, are asked.
    """
    guesses = range(1, far) if signal.index is None else (signal.index, signal.index - 1)
    for at in guesses:
        if at > 0:
            (answer,) = yield (Probe(how, SMALL, at),)
            if isinstance(answer, Silence) and signal.index is not None:
                yield Pause(_BREATH)
                (answer,) = yield (Probe(how, SMALL, at),)
            if isinstance(answer, Expired) and answer.hop == signal.hop:
                return Hop(at, signal.hop)
            if isinstance(answer, Reply) and signal.index is None:
                break
    return Hop(None, signal.hop)

"""Finds the hop after which large packets are lost, by large and small probes with the same TTL. Pure.

A hop that answers a large probe was reached by it. A hop that answers only small ones was not; that is probed twice,
with a pause, because routers limit the rate of "time exceeded", and three more times for the hop that is reported.
A hop that answers neither proves nothing, and its neighbours are probed instead; those between the two hops that
remain are probed once more at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chaoskit.pathmtu.probes import (
    SECOND,
    SMALL,
    DropPoint,
    Expired,
    Hop,
    Method,
    NoReply,
    Pause,
    Probe,
    Procedure,
    Reply,
    TooBig,
)

_ASYMMETRY = 8  # hops by which the forward path may be longer than the return path
_RETRY_PAUSE = SECOND // 2
_RATE_LIMIT_PAUSE = SECOND  # Linux sends one "time exceeded" a second after a burst of six (icmp(7))
_FINAL_PROBES = 3  # large probes to the first hop that they do not reach

THIS_MACHINE = Hop(0, None)


@dataclass
class HopSearch:
    """The search for the hop where packets of `size` are lost. The host seems to be `distance` hops away."""

    size: int
    method: Method
    distance: int
    reached: Hop = THIS_MACHINE
    beyond: Hop = THIS_MACHINE
    _unanswered: set[int] = field(default_factory=set)
    _retried: set[int] = field(default_factory=set)

    def search(self) -> Procedure[DropPoint | TooBig | None]:
        """Bisect until two adjacent hops are known. Returns the "too big" of a router that sends one after all.

        Returns None if the host answers large probes now.
        """
        self.beyond = end = yield from self._host()
        while True:
            outcome = yield from self._halve()
            if outcome is not None:
                return outcome if isinstance(outcome, TooBig) else None
            if self._retry_unanswered():
                continue
            if self.beyond == end:
                return DropPoint(self.reached, self.beyond)
            assert self.beyond.index is not None
            yield Pause(_RETRY_PAUSE)
            answers = yield (Probe(self.method, self.size, self.beyond.index),) * _FINAL_PROBES
            answer = next((each for each in answers if isinstance(each, Expired | TooBig | Reply)), None)
            match answer:
                case Expired(hop=address):  # it had been lost at random
                    self.reached, self.beyond = Hop(self.beyond.index, address), end
                case TooBig():
                    return answer
                case Reply():
                    return None
                case None:
                    return DropPoint(self.reached, self.beyond)

    def _halve(self) -> Procedure[TooBig | Reply | None]:
        """Bisect until no hop is left between; or until a router sends "too big", or the host answers."""
        while (at := self._between()) is not None:
            (answer,) = yield (Probe(self.method, self.size, at),)
            if isinstance(answer, NoReply):
                answer = yield from self._retry(at)
            match answer:
                case TooBig() | Reply():
                    return answer
                case Expired(hop=address):
                    self.reached = Hop(at, address)
        return None

    def _retry_unanswered(self) -> bool:
        """Whether silent hops between the two are to be probed once more, now that all others have answered."""
        assert self.reached.index is not None
        assert self.beyond.index is not None
        between = self._unanswered & set(range(self.reached.index + 1, self.beyond.index)) - self._retried
        self._unanswered -= between
        self._retried |= between
        return bool(between)

    def _host(self) -> Procedure[Hop]:
        """The farthest that the host can be: the estimate, unless a router answers there."""
        (answer,) = yield (Probe(self.method, SMALL, self.distance),)
        return Hop(self.distance + _ASYMMETRY if isinstance(answer, Expired) else self.distance, None)

    def _between(self) -> int | None:
        """The hop to probe next: the middle of those left."""
        assert self.reached.index is not None
        assert self.beyond.index is not None
        left = [at for at in range(self.reached.index + 1, self.beyond.index) if at not in self._unanswered]
        return left[len(left) // 2] if left else None

    def _retry(self, at: int) -> Procedure[Expired | TooBig | Reply | NoReply]:
        """A large probe was lost here: check with a small one, and repeat the large one."""
        (small,) = yield (Probe(self.method, SMALL, at),)
        match small:
            case Reply():
                self.beyond = Hop(at, None)
            case Expired(hop=address):
                yield Pause(_RETRY_PAUSE)
                (answer,) = yield (Probe(self.method, self.size, at),)
                if isinstance(answer, Expired | TooBig | Reply):
                    return answer
                self.beyond = Hop(at, address)
            case _:
                self._unanswered.add(at)
        return NoReply()


def locate_router(signal: TooBig, method: Method, distance: int) -> Procedure[Hop]:
    """The distance of the router that sent `signal`: the TTL at which a small probe expires there.

    Some routers quote the packet as received, some after the TTL decrement (Linux: as received in IPv4, after it in
    IPv6). If the quoted TTL is unknown, all hops to the host, which is `distance` away, are probed.
    """
    guesses = range(1, distance) if signal.index is None else (signal.index, signal.index - 1)
    for at in guesses:
        if at > 0:
            (answer,) = yield (Probe(method, SMALL, at),)
            if isinstance(answer, NoReply) and signal.index is not None:
                yield Pause(_RATE_LIMIT_PAUSE)
                (answer,) = yield (Probe(method, SMALL, at),)
            if isinstance(answer, Expired) and answer.hop == signal.hop:
                return Hop(at, signal.hop)
            if isinstance(answer, Reply) and signal.index is None:
                break
    return Hop(None, signal.hop)

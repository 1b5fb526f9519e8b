"""Simulates a path with known MTUs, to test the searches without a network.

Its clock advances only while waiting, so that long timeouts take no real time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from chaoskit.clock import ManualClock
from chaoskit.pathmtu.probes import DEFAULT_TTL, Answer, Expired, Method, NoReply, Probe, Reply, TooBig

OFFERED_MSS = 65495  # the MSS in the SYNs over IPv4
_RTT = 20_000_000  # ns


def _never(number: int, probe: Probe) -> bool:
    del number, probe
    return False


@dataclass
class SimulatedPath:
    """`mtus` are those of the links, starting at this machine; router N is before link N, the host after the last.

    `silent` routers send no "too big", `unresponsive` ones nothing at all, `short_quotes` ones quote little;
    `claimed_mtu` is what the others report instead of the true MTU. Router `clamp` rewrites the MSS of SYNs to `mss`.
    `loses` decides for each probe, by its number, whether it or its reply is lost.
    """

    clock: ManualClock
    mtus: tuple[int, ...]
    silent: frozenset[int] = frozenset()
    unresponsive: frozenset[int] = frozenset()
    short_quotes: frozenset[int] = frozenset()
    methods: tuple[Method, ...] = ("echo", "udp", "tcp")
    claimed_mtu: int | None = None
    mss: int = 1460
    clamp: int | None = None
    loses: Callable[[int, Probe], bool] = _never
    sent: list[Probe] = field(default_factory=list)
    _answers: deque[tuple[int, int, Answer]] = field(default_factory=deque)

    def send(self, probe: Probe, token: int) -> None:
        """As `ProbeSocket.send`."""
        self.sent.append(probe)
        answer = NoReply() if self.loses(len(self.sent) - 1, probe) else self._answer(probe)
        if not isinstance(answer, NoReply):
            self._answers.append((self.clock.now() + _RTT, token, answer))

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """As `ProbeSocket.receive`."""
        if self._answers and self._answers[0][0] <= until:
            at, token, answer = self._answers.popleft()
            self.clock.sleep_until(at)
            return token, answer
        self.clock.sleep_until(until)
        return None

    def _answer(self, probe: Probe) -> Answer:
        for link, mtu in enumerate(self.mtus):
            if link and probe.ttl == link:
                return NoReply() if link in self.unresponsive else Expired(address(link), self._quoted(probe, link))
            if probe.size > mtu:
                if not link or link in self.silent | self.unresponsive:
                    return NoReply()
                return TooBig(address(link), mtu if self.claimed_mtu is None else self.claimed_mtu, link)
        is_open = probe.method == "tcp"
        return Reply(DEFAULT_TTL - len(self.mtus) + 1, self.mss if is_open else None, is_open)

    def _quoted(self, probe: Probe, router: int) -> int | None:
        """The MSS of the SYN as it arrives at that router."""
        if probe.method != "tcp" or router in self.short_quotes:
            return None
        return OFFERED_MSS if self.clamp is None or router <= self.clamp else self.mss


def address(router: int) -> str:
    """The address of a simulated router."""
    return f"192.0.2.{router}"

"""Sends bursts of probes and collects replies, within limits and with adaptive timeouts.

The reply timeout is based on the lowest RTT so far (the first reply may have waited for neighbour discovery), so that a
lost probe costs 0.2 s on a short path. A late reply is ignored, but doubles the timeout from then on.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from chaoskit.clock import Clock
from chaoskit.pathmtu.probes import SECOND, Answer, Burst, Method, NoReply, Pause, Probe, Procedure, Reply, T

_MS = SECOND // 1000
_FIRST, _LEAST, _MOST = SECOND, 200 * _MS, 3 * SECOND


class BudgetExhausted(Exception):
    """The packets or the time of the budget are used up."""


class ProbeSocket(Protocol):
    """Sends and receives probes. `methods` are those that it can send."""

    methods: tuple[Method, ...]

    def send(self, probe: Probe, token: int) -> None:
        """Send it, identified by its token (0, 1, 2, ...). Raises RefusedError if the kernel refuses."""

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """The next reply with the token of its probe; None at `until`."""


@dataclass
class Budget:
    """Limits: a number of packets, and a time. `cause`: what was used up first."""

    packets: int
    until: int
    sent: int = 0
    cause: str = ""

    @property
    def left(self) -> int:
        """How many packets may still be sent."""
        return max(0, self.packets - self.sent)

    def take(self, packets: int, now: int, after: int = 0) -> None:
        """Count packets before sending; `after`: more that the kernel may send in reply. Raises BudgetExhausted."""
        if packets + after > self.left:
            self.cause = self.cause or "packets"
            raise BudgetExhausted
        if now >= self.until:
            self.cause = self.cause or "time"
            raise BudgetExhausted
        self.sent += packets


@dataclass
class Transport:
    """A socket and its timing so far; `on_send` is called before each burst."""

    socket: ProbeSocket
    clock: Clock
    budget: Budget
    on_send: Callable[[Burst], None]
    best_rtts: dict[Method, int] = field(default_factory=dict)
    _timeout_factor: int = 1
    _sent: dict[int, tuple[Probe, int]] = field(default_factory=dict)

    def run(self, procedure: Procedure[T]) -> T:
        """Run a procedure to its end. Raises BudgetExhausted, and what the socket raises."""
        try:
            step = next(procedure)
            while True:
                step = procedure.send(self._pause(step) if isinstance(step, Pause) else self._exchange(step))
        except StopIteration as end:
            found: T = end.value
            return found

    def _pause(self, pause: Pause) -> tuple[Answer, ...]:
        self.clock.sleep_until(min(self.clock.now() + pause.length, self.budget.until))
        return ()

    def _exchange(self, burst: Burst) -> tuple[Answer, ...]:
        self.budget.take(len(burst), self.clock.now(), after=sum(probe.method == "tcp" for probe in burst))
        self.on_send(burst)
        first = len(self._sent)
        for token, probe in enumerate(burst, first):
            self.socket.send(probe, token)
            self._sent[token] = (probe, self.clock.now())
        begun = self.clock.now()
        answers: dict[int, Answer] = {}
        while len(answers) < len(burst):
            received = self.socket.receive(min(begun + self._reply_timeout(), self.budget.until))
            if received is None:
                break
            token, answer = received
            if token not in self._sent:
                continue  # not of this examination, or forged
            self._time(token, answer)
            if token >= first:
                answers.setdefault(token, answer)
        return tuple(answers.get(token, NoReply()) for token in range(first, first + len(burst)))

    def _reply_timeout(self) -> int:
        if not self.best_rtts:
            return _FIRST
        return min(max(_LEAST, 3 * min(self.best_rtts.values()) + 100 * _MS) * self._timeout_factor, _MOST)

    def _time(self, token: int, answer: Answer) -> None:
        probe, sent = self._sent[token]
        elapsed = self.clock.now() - sent
        if self.best_rtts and elapsed > self._reply_timeout():
            self._timeout_factor *= 2
        if isinstance(answer, Reply):
            self.best_rtts[probe.method] = min(elapsed, self.best_rtts.get(probe.method, elapsed))
            if answer.is_open:
                self.budget.sent += 1  # the kernel has no socket for this SYN, and answers each SYN-ACK with a reset


def refusal(target: str, error: OSError) -> str:
    """The message for a send that the kernel refuses."""
    match error.errno:
        case errno.EPERM | errno.EACCES:
            return f"this machine's firewall drops packets to {target}: see nft list ruleset, hook output"
        case errno.ENETUNREACH:
            version = 6 if ":" in target else 4
            return f"no route to {target}: ip -{version} route shows the routes"
        case _:
            return f"this machine cannot send to {target} ({error.strerror}): ip route get {target}"

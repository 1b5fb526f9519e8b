"""Between those who decide and those who send: counts every packet, keeps the time, waits no longer than it must.

How long an answer is waited for comes from the quickest one so far (the first may have waited for a neighbour's
address), so that a black hole costs a fifth of a second a probe on a short path. Late answers are no answers, but
each doubles what is waited from then on.
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
    """The packets or the time that were allowed are used up."""


class ProbeSocket(Protocol):
    """What carries probes. `methods` are those that it can send."""

    methods: tuple[Method, ...]

    def send(self, probe: Probe, token: int) -> None:
        """Send it, recognisable by its token (0, 1, 2, ...). Raises RefusedError when this machine will not."""

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """The next answer with the token of its probe; None when the time has come."""


@dataclass
class Budget:
    """What was sent, of what may be, until when it may be. `cause`: what was used up first."""

    packets: int
    until: int
    sent: int = 0
    cause: str = ""

    @property
    def left(self) -> int:
        """How many packets may still be sent."""
        return max(0, self.packets - self.sent)

    def take(self, packets: int, now: int, after: int = 0) -> None:
        """Count them before they are sent; `after`: how many more they may make our kernel send. Raises Spent."""
        if packets + after > self.left:
            self.cause = self.cause or "packets"
            raise BudgetExhausted
        if now >= self.until:
            self.cause = self.cause or "time"
            raise BudgetExhausted
        self.sent += packets


@dataclass
class Transport:
    """A wire and what was learnt about its timing; `tell` is called before each volley."""

    wire: ProbeSocket
    clock: Clock
    budget: Budget
    tell: Callable[[Burst], None]
    best_rtts: dict[Method, int] = field(default_factory=dict)
    _timeout_factor: int = 1
    _sent: dict[int, tuple[Probe, int]] = field(default_factory=dict)

    def run(self, procedure: Procedure[T]) -> T:
        """Carry a talk to its end. Raises Spent, and whatever the wire raises."""
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
        self.tell(burst)
        first = len(self._sent)
        for token, probe in enumerate(burst, first):
            self.wire.send(probe, token)
            self._sent[token] = (probe, self.clock.now())
        begun = self.clock.now()
        answers: dict[int, Answer] = {}
        while len(answers) < len(burst):
            heard = self.wire.receive(min(begun + self._reply_timeout(), self.budget.until))
            if heard is None:
                break
            token, answer = heard
            if token not in self._sent:
                continue  # somebody else's, or made up
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
                self.budget.sent += 1  # our kernel knows nothing of this SYN, and resets what it opened, each time


def refusal(target: str, error: OSError) -> str:
    """What to say when this machine's kernel will not send."""
    match error.errno:
        case errno.EPERM | errno.EACCES:
            return f"this machine's own firewall keeps packets to {target} in: look at nft list ruleset, hook output"
        case errno.ENETUNREACH:
            version = 6 if ":" in target else 4
            return f"no route leads to {target}: ip -{version} route shows which there are"
        case _:
            return f"this machine cannot send to {target} ({error.strerror}): ip route get {target}"

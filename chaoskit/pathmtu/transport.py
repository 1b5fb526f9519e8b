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
from chaoskit.pathmtu.probes import SECOND, Answer, How, Pause, Probe, Reply, Silence, T, Talk, Volley

_MS = SECOND // 1000
_FIRST, _LEAST, _MOST = SECOND, 200 * _MS, 3 * SECOND


class Spent(Exception):
    """The packets or the time that were allowed are used up."""


class Wire(Protocol):
    """What carries probes. `ways` are those that it can send."""

    ways: tuple[How, ...]

    def send(self, probe: Probe, token: int) -> None:
        """Send it, recognisable by its token (0, 1, 2, ...). Raises RefusedError when this machine will not."""

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """The next answer with the token of its probe; None when the time has come."""


@dataclass
class Meter:
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
            raise Spent
        if now >= self.until:
            self.cause = self.cause or "time"
            raise Spent
        self.sent += packets


@dataclass
class Transport:
    """A wire and what was learnt about its timing; `tell` is called before each volley."""

    wire: Wire
    clock: Clock
    meter: Meter
    tell: Callable[[Volley], None]
    quickest: dict[How, int] = field(default_factory=dict)
    _slowness: int = 1
    _sent: dict[int, tuple[Probe, int]] = field(default_factory=dict)

    def converse(self, talk: Talk[T]) -> T:
        """Carry a talk to its end. Raises Spent, and whatever the wire raises."""
        try:
            step = next(talk)
            while True:
                step = talk.send(self._pause(step) if isinstance(step, Pause) else self._exchange(step))
        except StopIteration as end:
            found: T = end.value
            return found

    def _pause(self, pause: Pause) -> tuple[Answer, ...]:
        self.clock.sleep_until(min(self.clock.now() + pause.length, self.meter.until))
        return ()

    def _exchange(self, volley: Volley) -> tuple[Answer, ...]:
        self.meter.take(len(volley), self.clock.now(), after=sum(probe.how == "tcp" for probe in volley))
        self.tell(volley)
        first = len(self._sent)
        for token, probe in enumerate(volley, first):
            self.wire.send(probe, token)
            self._sent[token] = (probe, self.clock.now())
        begun = self.clock.now()
        answers: dict[int, Answer] = {}
        while len(answers) < len(volley):
            heard = self.wire.receive(min(begun + self._patience(), self.meter.until))
            if heard is None:
                break
            token, answer = heard
            if token not in self._sent:
                continue  # somebody else's, or made up
            self._time(token, answer)
            if token >= first:
                answers.setdefault(token, answer)
        return tuple(answers.get(token, Silence()) for token in range(first, first + len(volley)))

    def _patience(self) -> int:
        if not self.quickest:
            return _FIRST
        return min(max(_LEAST, 3 * min(self.quickest.values()) + 100 * _MS) * self._slowness, _MOST)

    def _time(self, token: int, answer: Answer) -> None:
        probe, sent = self._sent[token]
        took = self.clock.now() - sent
        if self.quickest and took > self._patience():
            self._slowness *= 2
        if isinstance(answer, Reply):
            self.quickest[probe.how] = min(took, self.quickest.get(probe.how, took))
            if answer.is_open:
                self.meter.sent += 1  # our kernel knows nothing of this SYN, and resets what it opened, each time


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

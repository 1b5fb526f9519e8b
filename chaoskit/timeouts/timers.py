"""Defines what a host waits for, how long, and where that is written.

| kind         | what happens when it runs out                                            |
|--------------|--------------------------------------------------------------------------|
| `connect`    | the connection to the next host is given up                              |
| `upload`     | the next host takes nothing of the request for so long                   |
| `first-byte` | no response has begun: the call is given up                              |
| `idle`       | nothing came for so long, before the first byte too: the call is given up |
| `gap`        | the next token is late: the call is given up                             |
| `total`      | the response is not complete: it is cut                                  |
| `reuse`      | an idle connection to the next host is closed                            |
| `keep-alive` | an idle connection of a caller is closed                                 |
| `send`       | the caller takes nothing for so long: it is given up                     |
| `request`    | the caller's request is not complete: it is given up                     |
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from chaoskit.units import Duration

SECOND = 10**9
PROBE = "chaoskit"
"""The program whose timers are the client's."""
Kind = Literal["connect", "upload", "first-byte", "idle", "gap", "total", "reuse", "keep-alive", "send", "request"]
CALLS: tuple[Kind, ...] = ("connect", "upload", "first-byte", "idle", "gap", "total", "reuse")
"""The kinds that are of a call to the next host; the others are of a host towards its callers."""


@dataclass(frozen=True)
class Timer:
    """One timer. `value` None: it never runs out.

    `place` is the line of it, or, of a default, where it would be written: "nginx.conf:12". `written` is how it is
    written, with {} for whole seconds: "proxy_read_timeout {}s;"; with a shorter `step` (ns) for a time with its unit.
    `is_default`: the file does not have it.
    """

    kind: Kind
    value: Duration | None
    name: str
    place: str
    written: str
    is_default: bool = False
    program: str = ""
    step: int = SECOND

    @property
    def source(self) -> str:
        """Who set it: `proxy_read_timeout in nginx.conf:12`, `nginx's default proxy_read_timeout`."""
        if self.is_default:
            return f"{self.program}'s default {self.name}" if self.program else f"default {self.name}"
        return f"{self.name} in {self.place}"

    def mend(self, value: Duration) -> str:
        """What to write so that it has this value."""
        steps = math.ceil(value / self.step)
        return mended(self.written.format(steps if self.step == SECOND else Duration(steps * self.step)), self.place)


def mended(line: str, place: str) -> str:
    """`write proxy_buffering off; in nginx.conf:12`."""
    return f"write {line} in {place}" if place else f"write {line}"


@dataclass(frozen=True)
class Retries:
    """How often a call is repeated after the first attempt, and after which timers of it.

    `others`: the hosts that are asked then, one after the other; none: the same one again.
    """

    count: int
    after: frozenset[Kind] = frozenset()
    name: str = ""
    place: str = ""
    is_default: bool = False
    others: tuple[str, ...] = ()

    def attempts(self, kind: Kind) -> int:
        """How often a wait of this kind may happen in a row."""
        return self.count + 1 if kind in self.after else 1


@dataclass(frozen=True)
class Hold:
    """A setting that may hold tokens back. `is_certain`: with every upstream, not only with some."""

    sentence: str
    mend: str
    is_certain: bool


@dataclass(frozen=True)
class Callee:
    """A host that is called, by the name that the configuration has, with its port and that line."""

    host: str
    port: int | None
    place: str


@dataclass(frozen=True)
class Route:
    """The calls that a host makes for some requests: to one of `callees`, with these timers.

    `ports` are those that it listens on for them (empty: any); `path` is the beginning of the paths that it serves.
    """

    callees: tuple[Callee, ...]
    timers: tuple[Timer, ...]
    ports: frozenset[int] = frozenset()
    path: str = ""
    retries: Retries = Retries(0)
    holds: tuple[Hold, ...] = ()

    @property
    def first_wait(self) -> Timer | None:
        """The timer that ends the wait for the first byte, all attempts together; None where none does."""
        found = [
            each for each in self.timers if each.kind in ("first-byte", "idle", "total") and each.value is not None
        ]
        return min(found, key=self.whole, default=None)

    def whole(self, timer: Timer) -> Duration:
        """How long it may be waited for with all attempts; the timer is one that runs out."""
        return Duration((timer.value or 0) * self.retries.attempts(timer.kind))

    def timer(self, *kinds: Kind) -> Timer | None:
        """Of these kinds, the timer that runs out first; None where none ever does."""
        return first_of(self.timers, *kinds)


def first_of(timers: Iterable[Timer], *kinds: Kind) -> Timer | None:
    """Of these kinds, the timer that runs out first."""
    found = [each for each in timers if each.kind in kinds and each.value is not None]
    return min(found, key=lambda each: each.value or 0, default=None)


@dataclass(frozen=True)
class Reading:
    """What is known of one host: the program, its timers towards callers, and its routes.

    `in_turn`: it takes all of its routes, one after the other, and not one of them. `remark`: why not more is known.
    """

    program: str = ""
    own: tuple[Timer, ...] = ()
    routes: tuple[Route, ...] = ()
    in_turn: bool = False
    remark: str = ""

    def serving(self, port: int | None, path: str) -> tuple[Route, ...]:
        """The routes that a request takes: those of the port with the longest path that fits; all when none fits."""
        if self.in_turn:
            return self.routes
        at_port = [each for each in self.routes if not each.ports or port in each.ports] or list(self.routes)
        fitting = [each for each in at_port if path.startswith(each.path)]
        longest = max((len(each.path) for each in fitting), default=0)
        return tuple(each for each in fitting if len(each.path) == longest) or tuple(at_port)


def roomy(need: int) -> Duration:
    """Half as much again, as people write it: 5s, 90s, 300s."""
    seconds = need * 3 / 2 / SECOND
    step = next(step for step in (1, 5, 10, 60, math.inf) if seconds <= 20 * step)
    step = 60 if step == math.inf else step
    return Duration(math.ceil(seconds / step) * step * SECOND)

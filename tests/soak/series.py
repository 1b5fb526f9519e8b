"""Which trials a soak consists of: the rows of its table, in order, and how often each.

Everything that chance decides follows from the seed and the trial's place in its row, so that any trial can be
done again alone.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from soak import interfaces
from soak.trials import LEASE, RUN, Trial


@dataclass(frozen=True)
class Row:
    """A row of the table. `weight` is how many of a hundred kills it gets."""

    name: str
    what: str
    weight: float
    victim: str = "conductor"
    sign: int = 0
    command: str = "inject"
    cold: bool = False
    disturbance: str = ""
    restores: int = 0

    @property
    def is_death(self) -> bool:
        """Whether the watchdog has to act at once, and in time."""
        return self.victim == "conductor" and self.sign == signal.SIGKILL


ROWS = (
    Row("inject: kill -9 of the conductor", "kill", 35, "conductor", signal.SIGKILL),
    Row("inject: kill -9 of the watchdog", "kill", 17, "watchdog", signal.SIGKILL),
    Row("inject: kill -9 of both, then restore", "kill", 20, "both", signal.SIGKILL),
    Row("inject, from a shell: kill -9 of the conductor", "kill", 8, "conductor", signal.SIGKILL, cold=True),
    Row("inject, from a shell: kill -9 of both, then restore", "kill", 4, "both", signal.SIGKILL, cold=True),
    Row("inject: SIGTERM to the conductor", "kill", 5, "conductor", signal.SIGTERM),
    Row("inject: SIGHUP to the conductor", "kill", 5, "conductor", signal.SIGHUP),
    Row("inject: SIGINT to the conductor", "kill", 5, "conductor", signal.SIGINT),
    Row("inject: SIGTERM to the watchdog", "kill", 5, "watchdog", signal.SIGTERM),
    Row("inject: SIGSTOP of the conductor, past its lease", "kill", 5, "conductor", signal.SIGSTOP),
    Row("inject: SIGSTOP of the watchdog, past its lease", "kill", 4, "watchdog", signal.SIGSTOP),
    Row("inject: the disk is full", "fill", 6),
    Row("inject: the clock jumps an hour ahead", "clock", 4, sign=1),
    Row("inject: the clock jumps an hour back", "clock", 4, sign=-1),
    Row("inject: the interface vanishes", "vanish", 5),
    Row("inject: kill -9 of both, then of three restores", "kill", 6, "both", signal.SIGKILL, restores=3),
    Row(
        "inject, lock squatted: kill -9 of the conductor",
        "kill",
        4,
        "conductor",
        signal.SIGKILL,
        disturbance="squatter",
    ),
    Row(
        "inject, lock squatted: kill -9 of both, then restore",
        "kill",
        4,
        "both",
        signal.SIGKILL,
        disturbance="squatter",
    ),
    Row(
        "inject, a stranger's leases: kill -9 of both, then restore",
        "kill",
        4,
        "both",
        signal.SIGKILL,
        disturbance="rubbish",
    ),
    Row(
        "two namespaces, two interfaces: kill -9 of both conductors",
        "kill",
        4,
        sign=signal.SIGKILL,
        disturbance="neighbour",
    ),
    Row(
        "two namespaces, two interfaces: kill -9 of one's both, then restore",
        "kill",
        4,
        "both",
        signal.SIGKILL,
        disturbance="neighbour",
    ),
    Row("exec: kill -9 of the conductor", "kill", 8, "conductor", signal.SIGKILL, command="exec"),
    Row("exec: kill -9 of both, then restore", "kill", 4, "both", signal.SIGKILL, command="exec"),
    Row("exec: SIGTERM to the conductor", "kill", 4, "conductor", signal.SIGTERM, command="exec"),
    Row("run: kill -9 of the conductor", "kill", 6, "conductor", signal.SIGKILL, command="run"),
    Row("run: kill -9 of both, then restore", "kill", 4, "both", signal.SIGKILL, command="run"),
    Row("run: SIGTERM to the conductor", "kill", 3, "conductor", signal.SIGTERM, command="run"),
)


def words(command: str, link: str) -> tuple[str, ...]:
    """What is typed after `chaoskit`."""
    match command:
        case "inject":
            fault = ("--down", "delay 80ms 20ms loss 1%", "--up", "delay 40ms")
            return (
                "inject",
                "--interface",
                link,
                "--to",
                f"{interfaces.far(link)}:{interfaces.PORT}",
                *fault,
                "--for",
                LEASE,
            )
        case "exec":
            return ("exec", "--down", "delay 20ms", "--", "sleep", "1.5")
        case "run":
            return ("conduct", f"{RUN}{link}")
        case _:
            raise ValueError(command)


def series(seed: int, count: int) -> Iterator[Trial]:
    """All trials; `count` is about how many kills with SIGKILL are among them, and at least."""
    kills = sum(row.weight for row in ROWS if row.sign == signal.SIGKILL)
    for row in ROWS:
        for number in range(max(2, -(-int(row.weight * count) // int(kills)))):
            chance = _chance(f"{seed}/{row.name}/{number}")
            link = "bare" if row.what == "vanish" else interfaces.LINKS[number % 2]
            yield Trial(
                row=row.name,
                what=row.what,
                words=words(row.command, link),
                link=link,
                seed=chance,
                victim=row.victim,
                sign=row.sign,
                cold=row.cold,
                disturbance=row.disturbance,
                restores=row.restores,
            )


def _chance(words: str) -> int:
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big")

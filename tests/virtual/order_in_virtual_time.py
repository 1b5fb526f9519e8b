"""Runs in a guest in virtual time: who runs first at one moment, and what decides when a timer wakes, as JSON.

order_in_virtual_time.py ANSWER
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from chaoskit import processor_order
from chaoskit.clock import RealClock, next_tick, now

CLOCK = RealClock()
MS = 10**6
READS = 400  # 0.1 ms


def main(answer: Path) -> None:
    """All of it."""
    processor_order.ahead()
    found = {
        "orders": [order(used) for used in ((0, 0, 0, 0), (9, 0, 3, 1), (0, 9, 1, 3))],
        "late": beside_a_busy_one(),
        "sleeps": [sleeps(timers) for timers in (0, 1, 2, 3, 100)],
    }
    answer.write_text(json.dumps(found))


def order(used: tuple[int, ...]) -> str:
    """The names of processes in the order in which they run at one moment; each has computed for so many ms before."""
    reader, writer = os.pipe()
    start = next_tick(now())
    moment = start + 1000 * MS
    children = [forked(partial(meet, writer, name, ms, moment)) for name, ms in zip("abcd", used, strict=True)]
    CLOCK.sleep_until(moment)
    os.write(writer, b"C")
    for child in children:
        os.waitpid(child, 0)
    os.close(writer)
    return os.read(reader, 100).decode()


def meet(writer: int, name: str, ms: int, moment: int) -> None:
    """Compute, wait for the moment together with all others, and say that it has come."""
    until = now() + ms * MS
    while now() < until:
        os.getppid()
    CLOCK.sleep_until(moment - 500 * MS + "dbca".index(name) * MS)  # in this order they begin to wait
    CLOCK.sleep_until(moment)
    os.write(writer, name.encode())


def beside_a_busy_one() -> dict[str, int]:
    """How late the one ahead wakes, and one in turn, beside a program that never waits; ns at most."""
    reader, writer = os.pipe()
    busy = forked(never_wait)
    start = next_tick(now())
    moments = [start + n * 7 * MS for n in range(1, 30)]
    forked(lambda: os.write(writer, str(latest(moments)).encode()))
    ahead = latest(moments)
    in_turn = int(os.read(reader, 100))
    os.kill(busy, signal.SIGKILL)
    return {"ahead": ahead, "in turn": in_turn}


def never_wait() -> None:
    """Read the clock, which takes all of the virtual time."""
    while True:
        for _ in range(READS):
            now()
        os.getppid()


def latest(moments: list[int]) -> int:
    """How late this process is at most."""
    late = 0
    for moment in moments:
        CLOCK.sleep_until(moment)
        late = max(late, now() - moment)
    return late


def sleeps(timers: int) -> list[int]:
    """How late sleeps of some ns end, after so many timers of which nothing should remain."""
    for _ in range(timers):
        CLOCK.sleep_until(now() + MS + 77)
    start = next_tick(now()) + 10**8
    CLOCK.sleep_until(start)
    CLOCK.sleep_until(start + MS)
    late = []
    for n in range(1, 60):
        CLOCK.sleep_until(start + MS + n * 100_003)
        late.append(now() - start - MS - n * 100_003)
    return late


def forked(work: Callable[[], object]) -> int:
    """The PID of a child in turn that does it."""
    child = os.fork()
    if child == 0:
        try:
            processor_order.in_turn()
            work()
        finally:
            os._exit(0)
    return child


if __name__ == "__main__":
    main(Path(sys.argv[1]))

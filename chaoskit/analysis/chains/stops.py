"""Tells when the programs of hosts were stopped, by the changes of state that were recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

from chaoskit.records.host_records import HostState

Stopped = Literal["paused", "killed", "refusing", "ended"]
_STATES: tuple[Stopped, ...] = get_args(Stopped)


class Stop(NamedTuple):
    """A program was in this state from `begin` to `end`, ns; `end` None: until the end of the run."""

    state: Stopped
    begin: int
    end: int | None

    def overlap(self, begin: int, end: int) -> int:
        """How much of this stretch it was so, ns."""
        return max(0, min(end, end if self.end is None else self.end) - max(begin, self.begin))


Stops = Mapping[str, tuple[Stop, ...]]
"""Of each host, in order."""


def stops(states: Iterable[HostState]) -> Stops:
    """When each host's program was stopped; one that was killed, until it was ready again."""
    found: dict[str, list[Stop]] = defaultdict(list)
    open_ones: dict[str, Stop] = {}
    for state in sorted(states, key=lambda each: each.at):
        former = open_ones.get(state.host)
        if former is not None and former.state == "killed" and state.state == "running":
            continue  # it is being started
        if former is not None:
            found[state.host].append(former._replace(end=state.at))
            del open_ones[state.host]
        name = next((each for each in _STATES if each == state.state), None)
        if name is not None:
            open_ones[state.host] = Stop(name, state.at, None)
    for host, stop in open_ones.items():
        found[host].append(stop)
    return {host: tuple(each) for host, each in found.items()}

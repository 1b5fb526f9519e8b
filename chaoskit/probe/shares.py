"""Divides one drive among several processes: each has every n-th conversation and number.

| divided             | rule                                                                        |
|---------------------|-----------------------------------------------------------------------------|
| arrivals            | every n-th of the one schedule, so all together are those of one process    |
| streams at a time   | every n-th, begun at the moments at which one process would have begun them |
| requests            | those of every n-th conversation; all turns of one stay in one process      |
| warm-up requests    | those of the first ones that are in its conversations                       |
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from chaoskit.errors import SpecError
from chaoskit.spec.conversations import openings
from chaoskit.spec.workload import Workload
from chaoskit.units import counted

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """What one process of `processes` does; it is number `index`, from 0. `first` is the number of the first stream."""

    index: int = 0
    processes: int = 1
    first: int = 0

    def of(self, everything: Iterable[T]) -> Iterator[T]:
        """Its part of these, in order."""
        return itertools.islice(everything, self.index, None, self.processes)

    def numbers(self) -> Iterator[int]:
        """The numbers that it may give away: no other process gives them."""
        return itertools.count(self.first + self.index, self.processes)

    def warm_ups(self, workload: Workload, seed: int) -> int:
        """How many of its requests, the first ones, do not count."""
        return sum(opening.turns for opening in self.of(openings(workload, seed, workload.warm_up)))

    @property
    def process(self) -> int | None:
        """Its number in the records; None for the only one."""
        return None if self.processes == 1 else self.index


WHOLE = Share()


def divide(workload: Workload, seed: int, requests: int, processes: int) -> tuple[Share, ...]:
    """The shares of a drive of so many requests. Raises SpecError where a process would have nothing to do."""
    conversations = sum(1 for _ in itertools.islice(openings(workload, seed, requests), processes))
    streams = workload.max_concurrency
    if streams is not None and processes > streams:
        raise SpecError(
            f"--processes {processes}: more than the {counted(streams, 'stream')} at a time; "
            f"give at most --processes {streams}, or a higher --max-concurrency"
        )
    if processes > conversations:
        what = "request" if conversations == requests else "conversation"
        raise SpecError(
            f"--processes {processes}: more than the {counted(conversations, what)}; "
            f"give at most --processes {conversations}, or more --requests"
        )
    return tuple(Share(index, processes) for index in range(processes))

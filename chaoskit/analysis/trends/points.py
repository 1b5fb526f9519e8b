"""Defines a series: the values of one metric in the runs of one experiment, by their start."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.analysis.result import Unit


@dataclass(frozen=True)
class PastRun:
    """A run of the past. `started` is UTC, ISO 8601; `experiment` the SHA-256 of its file; "" where not known."""

    identity: str
    started: str
    name: str
    variant: str
    experiment: str
    target: str
    clock: str
    kernel: str
    chaoskit: str
    commit: str
    branch: str
    is_dirty: bool | None
    status: str
    verdict: str
    streams: int
    is_overloaded: bool

    @property
    def is_sound(self) -> bool:
        """Whether its numbers are about the target: it came to its end, and its client kept up."""
        return self.status == "finished" and not self.is_overloaded

    @property
    def short_commit(self) -> str:
        """The commit for people, with a plus where more than that was in the checkout."""
        return f"{self.commit[:8]}{'+' if self.is_dirty else ''}" if self.commit else "no commit"


@dataclass(frozen=True)
class Point:
    """What one run says of the metric; infinite for never; `low` and `high` are its 95 % interval."""

    run: PastRun
    value: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class Subject:
    """What a series is about: `ttft_p95 during wifi`. `metric` is its name in the table of metrics."""

    label: str
    metric: str
    unit: Unit


@dataclass(frozen=True)
class Series:
    """The points of one subject, in the order of time."""

    subject: Subject
    points: tuple[Point, ...]

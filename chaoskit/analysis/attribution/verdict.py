"""Defines the verdict on one stall, and what it is given on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from chaoskit.analysis.result import Confidence
from chaoskit.analysis.streams.gaps import Gap, Gaps, Token

DoubtKind = Literal["client", "dead-while-late", "dead-without-record", "no-stamps"]


class Lateness(NamedTuple):
    """The time of a stall by cause, ns."""

    server: float = 0.0
    network: float = 0.0
    client: float = 0.0
    unknown: float = 0.0
    between: float = 0.0


class Doubt(NamedTuple):
    """Why a verdict is not exact, and by how much something was late, ns."""

    kind: DoubtKind
    late: int = 0


@dataclass(frozen=True)
class Stall:
    """A gap that is a stall: `time` is what is longer than the threshold, ns.

    `before` and `after` are the tokens around it; None: the stream died in it. `burst` are the tokens that came
    together at its end, `last` is the last of them; `in_read` of them came in one read.
    """

    gap: Gap
    time: int
    before: Token
    after: Token | None
    burst: int = 0
    last: Token | None = None
    ends_in_burst: bool = False


@dataclass(frozen=True)
class Verdict:
    """Whose a stall is: its time by cause."""

    stall: Stall
    parts: Lateness
    confidence: Confidence
    doubt: Doubt | None = None


def stalls_of(gaps: Gaps) -> Iterator[Stall]:
    """The stalls among these gaps."""
    table, reader = gaps.table, gaps.table.reader
    for gap in gaps.stalls:
        before, after = table.tokens_around(gap)
        burst, last = (0, None) if after is None else table.burst_after(gap)
        is_coalesced = after is not None and bool(table.is_coalesced[gap.row + 1])
        yield Stall(gap, gap.excess - reader.stall, before, after, burst, last, is_coalesced)

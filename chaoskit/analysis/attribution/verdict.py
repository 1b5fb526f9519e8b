"""Defines a stall, what is known of it beside stamps, and the verdict on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import Cause, Confidence, NetworkKind
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.gaps import Gap, Gaps, Token
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import SocketRead

DoubtKind = Literal["client", "dead-while-late", "dead-without-record", "headers", "no-stamps"]
CAUSES: tuple[Cause, ...] = get_args(Cause)


class Lateness(NamedTuple):
    """The time of a stall by cause, ns."""

    server: float = 0.0
    network: float = 0.0
    client: float = 0.0
    between: float = 0.0
    unknown: float = 0.0

    @classmethod
    def of(cls, cause: Cause, time: float) -> Lateness:
        """All of it is of one cause."""
        return cls(**{cause: time})

    @property
    def cause(self) -> Cause:
        """The cause of most of it."""
        return max(CAUSES, key=lambda name: float(getattr(self, name)))


class Doubt(NamedTuple):
    """Why a verdict is not exact, and by how much something was late, ns."""

    kind: DoubtKind
    late: int = 0


@dataclass(frozen=True)
class Stall:
    """A gap that is a stall: `time` is what is longer than the threshold, ns.

    `before` and `after` are the tokens around it; None: the stream died in it. `number` is that of the token before in
    its stream, from 1. `burst` are the tokens that came together at its end, `last` is the last of them.
    """

    gap: Gap
    time: int
    number: int
    before: Token
    after: Token | None
    burst: int = 0
    last: Token | None = None

    @property
    def records(self) -> str:
        """The records of its tokens."""
        tokens = f"token {self.number}" if self.after is None else f"tokens {self.number} and {self.number + 1}"
        return f"{FILES[SocketRead]}: stream {self.gap.stream}, {tokens}"


@dataclass(frozen=True)
class GapEvidence:
    """What the client's own socket tells of a stall; times in ns, None where it is not known.

    `deaf`: how long the client had not looked when the stall ended. `waited`: at a look in the silence data had arrived
    and waited for a segment before it. `out_of_order`: how many segments arrived out of order, from the first look in
    the silence on. `alive`: keepalives came in the middle. `least_round_trip`: also of other connections at that time.
    `rise`: by how much the round trips of other connections' handshakes grew meanwhile. `pace` is the usual time
    between tokens, `missing` how many tokens were due in the silence by it, of those that the stream had left;
    `caught_up` the share of these that came in the round trips after it, beside those due then. `next_read`: how long
    after its end more came. `goes_on`: the next tokens came one by one, at the usual pace. `is_full`: what ended it
    were several tokens in one segment of full size, although one came at a time before, or full ones went on coming,
    each some time after the other. `samples` are those of TCP_INFO that this rests on.
    """

    deaf: int = 0
    waited: bool = False
    out_of_order: int | None = None
    alive: bool = False
    round_trip: int | None = None
    least_round_trip: int | None = None
    rise: int | None = None
    pace: int = 0
    missing: float = 0.0
    caught_up: float = 0.0
    next_read: int | None = None
    goes_on: bool = False
    is_full: bool = False
    samples: tuple[str, ...] = ()

    @property
    def has_trace(self) -> bool:
        """Whether the connection shows that something was lost or overtaken in the stall."""
        return self.waited or bool(self.out_of_order)


@dataclass(frozen=True)
class Verdict:
    """Whose a stall is: its time by cause, and what this rests on.

    `kind` and `place` are the network's. `confidence` is that of the cause, `kind_confidence` that of the kind.
    """

    stall: Stall
    parts: Lateness
    confidence: Confidence
    sentence: str
    records: tuple[str, ...]
    kind: NetworkKind | None = None
    doubt: Doubt | None = None
    place: str = ""
    kind_confidence: Confidence = "likely"

    @property
    def cause(self) -> Cause:
        """The cause of most of it."""
        return self.parts.cause


def stalls_of(gaps: Gaps) -> Iterator[Stall]:
    """The stalls among these gaps."""
    table, reader = gaps.table, gaps.table.reader
    for gap in gaps.stalls:
        before, after = table.tokens_around(gap)
        burst, last = (0, None) if after is None else table.burst_after(gap)
        number = gap.row - table.rows_of(gap.stream)[0] + 1
        yield Stall(gap, gap.excess - reader.stall, number, before, after, burst, last)


def shown(time: float) -> str:
    """A time in ns for people."""
    return format_value(time / MS, "ms")

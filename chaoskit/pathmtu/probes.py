"""The nouns of the doctor: a probe, what can come back, and how those who decide talk with those who send.

Sizes are whole IP packets in bytes, headers included, as an MTU is; times are ns. Every probe forbids
fragmentation on its way (RFC 1191's DF; IPv6 knows nothing else), whatever this machine has cached.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

Method = Literal["echo", "udp", "tcp"]
SMALL = 100  # bytes; no path is narrower, and a SYN with its options and some data fits
DEFAULT_TTL = 64  # hops; what Linux gives its own packets
SECOND = 10**9
T = TypeVar("T")


@dataclass(frozen=True)
class Probe:
    """One packet: an echo request, a datagram to a port that nobody listens on, or a SYN, padded to `size`."""

    method: Method
    size: int
    ttl: int = DEFAULT_TTL


@dataclass(frozen=True)
class Reply:
    """The host itself answered. `ttl` as it arrived, `mss` as a SYN-ACK offers it; None where it says nothing."""

    ttl: int | None = None
    mss: int | None = None
    is_open: bool = False


@dataclass(frozen=True)
class TooBig:
    """`hop` says that its next link takes `mtu` bytes (0: it gives no number). `index`: how far away it seems."""

    hop: str
    mtu: int
    index: int | None = None


@dataclass(frozen=True)
class Expired:
    """`hop` is as far as the probe's TTL led. `mss`: a SYN's, as it got there; None when it does not quote so much."""

    hop: str
    mss: int | None = None


@dataclass(frozen=True)
class Unreachable:
    """`hop` says that the host cannot be had that way."""

    hop: str
    why: str


@dataclass(frozen=True)
class NoReply:
    """Nothing came in time."""


@dataclass(frozen=True)
class Pause:
    """Nothing is sent for `length` ns: who limits the rate of his answers has some to give again."""

    length: int


Answer: TypeAlias = Reply | TooBig | Expired | Unreachable | NoReply
Burst: TypeAlias = tuple[Probe, ...]
Procedure: TypeAlias = Generator[Burst | Pause, tuple[Answer, ...], T]
"""Yields what to send, is sent what came back, in that order (of a Pause: nothing), and returns what it found."""


@dataclass(frozen=True)
class Hop:
    """A router: how many hops away it is, and its address; None for what could not be seen."""

    index: int | None
    address: str | None


@dataclass(frozen=True)
class DropPoint:
    """Where large packets end: `reached` is the last hop that they reach (index 0: this machine), `beyond` the first
    that they do not, while small ones do (address None: the host, or hops that never answer)."""

    reached: Hop
    beyond: Hop


@dataclass(frozen=True)
class Clamp:
    """Where the MSS of our SYN is rewritten to `mss`: `before` is the last hop that it is seen to reach as it was sent
    (index 0: this machine), `after` the first that it is seen not to (None: no such hop)."""

    before: Hop
    after: Hop | None
    mss: int | None


@dataclass(frozen=True)
class Endpoints:
    """The two ends of the path, as literal addresses of one IP version, and the TCP port that is asked."""

    version: Literal[4, 6]
    source: str
    target: str
    port: int

    @property
    def header(self) -> int:
        """Bytes of the IP header."""
        return 20 if self.version == 4 else 40

    @property
    def bare_syn(self) -> int:
        """Bytes of a SYN that carries an MSS option and no data."""
        return self.header + 24

    @property
    def offered_mss(self) -> int:
        """The MSS of our SYNs: no link limits it."""
        return 65535 - self.header - 20

    def size_of(self, mss: int) -> int:
        """The largest packet that TCP sends under this MSS (RFC 6691: the MSS counts no options)."""
        return mss + self.header + 20

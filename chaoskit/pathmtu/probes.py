"""Defines probes, replies, and the results of the path MTU searches.

Sizes are whole IP packets in bytes, headers included, as an MTU is; times are ns. Every probe forbids fragmentation
(RFC 1191's DF; IPv6 routers never fragment), whatever path MTU this machine has cached.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

Method = Literal["echo", "udp", "tcp"]
SMALL = 100  # bytes; every path passes it, and it holds a SYN with options and some data
DEFAULT_TTL = 64  # Linux's default TTL
SECOND = 10**9
T = TypeVar("T")


@dataclass(frozen=True)
class Probe:
    """One packet: an echo request, a datagram to a port that is usually closed, or a SYN, padded to `size`."""

    method: Method
    size: int
    ttl: int = DEFAULT_TTL


@dataclass(frozen=True)
class Reply:
    """A reply of the host itself. `ttl` as received, `mss` as in a SYN-ACK; None if absent."""

    ttl: int | None = None
    mss: int | None = None
    is_open: bool = False


@dataclass(frozen=True)
class TooBig:
    """`hop` reports that its next link takes `mtu` bytes (0: no number given). `index`: its apparent distance."""

    hop: str
    mtu: int
    index: int | None = None


@dataclass(frozen=True)
class Expired:
    """The probe's TTL expired at `hop`. `mss`: of the SYN as quoted; None if the quote is too short."""

    hop: str
    mss: int | None = None


@dataclass(frozen=True)
class Unreachable:
    """`hop` reports that the host is unreachable."""

    hop: str
    why: str


@dataclass(frozen=True)
class NoReply:
    """No reply arrived in time."""


@dataclass(frozen=True)
class Pause:
    """Send nothing for `length` ns, so that rate-limited routers reply again."""

    length: int


Answer: TypeAlias = Reply | TooBig | Expired | Unreachable | NoReply
Burst: TypeAlias = tuple[Probe, ...]
Procedure: TypeAlias = Generator[Burst | Pause, tuple[Answer, ...], T]
"""Yields bursts to send, receives their replies in the same order (none for a Pause), and returns a result."""


@dataclass(frozen=True)
class Hop:
    """A router: its distance in hops, and its address; None if unknown."""

    index: int | None
    address: str | None


@dataclass(frozen=True)
class DropPoint:
    """Where large packets are lost: `reached` is the last hop that they reach (index 0: this machine), `beyond` the
    first that only small ones reach (address None: the host, or hops that never answer)."""

    reached: Hop
    beyond: Hop


@dataclass(frozen=True)
class Clamp:
    """Where the MSS of a SYN is rewritten to `mss`: `before` is the last hop that quotes the original
    (index 0: this machine), `after` the first that quotes another (None: no such hop)."""

    before: Hop
    after: Hop | None
    mss: int | None


@dataclass(frozen=True)
class Endpoints:
    """The two endpoints of the path, as literal addresses of one IP version, and the TCP port to probe."""

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
        """The MSS in the SYNs: the maximum, so that every rewrite shows."""
        return 65535 - self.header - 20

    def size_of(self, mss: int) -> int:
        """The largest packet that TCP sends under this MSS (RFC 6691: the MSS counts no options)."""
        return mss + self.header + 20

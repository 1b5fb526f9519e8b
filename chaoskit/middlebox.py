"""Defines how middleboxes end TCP connections, and which packets they see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ending = Literal["reset", "silence"]


@dataclass(frozen=True)
class TcpFlow:
    """The TCP packets of this flow that a link sends (`egress`) or receives (`ingress`); None matches any.

    Addresses are prefixes ("10.0.0.2/32").
    """

    link: str
    hook: Literal["egress", "ingress"]
    family: Literal["ip", "ipv6"]
    source: str | None = None
    destination: str | None = None
    source_port: int | None = None
    destination_port: int | None = None


@dataclass(frozen=True)
class Cut:
    """A connection of these packets ends at the first packet with data that is too late, or too many.

    Too late: `ms` after its SYN, or after this setting was made for a connection that is older. Too many: the packets
    of `counted` with data, from the IP header on, are more than `bytes`; each direction is counted on its own. One of
    both limits is 0: none. By `reset` both ends get an RST, by `silence` all later packets are dropped. Removed with
    its process.
    """

    by: Ending
    of: tuple[TcpFlow, ...]
    counted: tuple[TcpFlow, ...]
    bytes: int = 0
    ms: int = 0
    type: Literal["cut"] = "cut"


@dataclass(frozen=True)
class IdleTimeout:
    """A connection of these packets is forgotten when `ms` pass without a packet of it in either direction.

    The time of a connection that is older begins when this setting is made. A packet of a forgotten connection is
    dropped; by `reset` its sender gets an RST. Removed with its process.
    """

    by: Ending
    of: tuple[TcpFlow, ...]
    ms: int
    type: Literal["idle-timeout"] = "idle-timeout"

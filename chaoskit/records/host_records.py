"""Defines the records of a lab's hosts: their connections, their sockets, what their programs do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EndKind = Literal["syn", "syn-ack", "fin", "rst"]


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """A TCP segment that begins or ends a connection, as a namespace of a lab received it, before faults on its way on.

    A router receives what it passes on, a host what is for itself. Hosts have their names, others their addresses.
    """

    at: int
    """When it was received, by the kernel's stamp."""
    place: str
    """The network namespace that received it."""
    link: str
    """Its link."""
    kind: EndKind
    """Its flags. A segment with RST is `rst` whatever else it has."""
    sender: str
    """The host that sent it, by its address: what is between may have made it."""
    sender_port: int
    """Its port."""
    receiver: str
    """The host that it was sent to."""
    receiver_port: int
    """Its port."""


@dataclass(frozen=True, slots=True)
class HostSocket:
    """TCP_INFO of a socket on a host of a lab, once a second if its state, data or retransmissions have changed."""

    at: int
    """When it was taken."""
    host: str
    """The host."""
    port: int
    """Its port."""
    remote: str
    """The other host."""
    remote_port: int
    """Its port."""
    fields: dict[str, int] = field(default_factory=dict)
    """By the kernel's names, without `tcpi_`; `last_data_recv` and `last_data_sent` are ms before `at`."""


@dataclass(frozen=True, slots=True)
class HostState:
    """A change of what the program of a host does, by itself or by a fault."""

    host: str
    """The host."""
    at: int
    """When that was so: of a fault, when the kernel said so."""
    state: Literal["ready", "paused", "killed", "refusing", "running", "ended"]
    """`running`: again, after a fault; `ready`: at the start, and again after it was killed; `ended`: by itself."""
    code: int | None = None
    """Its exit code, negative for a signal, where it ended by itself."""


@dataclass(frozen=True, slots=True)
class NamespaceCounters:
    """What a network namespace counted of its TCP since it began, at both ends of a phase; names as nstat's."""

    at: int
    """When they were read."""
    place: str
    """The network namespace; empty: that of a run on an interface, with all that it does besides."""
    phase: str
    """The phase that begins or ends."""
    round: int
    """Its repetition."""
    counters: dict[str, int]
    """By name. `ConntrackEntries` are those at that time."""
    missing: dict[str, str]
    """The names of others, and why there is no value."""

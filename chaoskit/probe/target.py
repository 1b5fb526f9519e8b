"""Whom the probe asks, and what it is told to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SocketOptions:
    """TCP_MAXSEG (bytes) and TCP_CONGESTION of each socket, set before it connects; None: as the system has it."""

    maxseg: int | None = None
    congestion_control: str | None = None


@dataclass(frozen=True)
class Target:
    """A streaming endpoint. A `url` without a path gets the protocol's usual one.

    `key_env` is the name of an environment variable; the key itself is read when a request is sent and never
    kept. `ca_file` (PEM) is trusted besides the usual authorities. With `addresses` its host name is not looked
    up: they are tried in this order.
    """

    url: str
    model: str = "chaoskit"
    headers: dict[str, str] = field(default_factory=dict)
    key_env: str | None = None
    ca_file: Path | None = None
    addresses: tuple[str, ...] = ()
    sockets: SocketOptions = SocketOptions()


@dataclass(frozen=True)
class DriveOptions:
    """From monotonic stamp `start`, new requests for `length` ns or until there were `requests`; None: no limit.

    Streams that are still open `drain` ns after the last moment of a request are cancelled; None: they are left
    to their own ends and timeouts.
    """

    seed: int
    start: int
    length: int | None
    drain: int | None = None
    requests: int | None = None

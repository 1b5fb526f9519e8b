"""Defines the probe's target and the options of a drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SocketOptions:
    """TCP_MAXSEG (bytes) and TCP_CONGESTION of each socket, set before it connects; None: the system's default."""

    maxseg: int | None = None
    congestion_control: str | None = None


@dataclass(frozen=True)
class Target:
    """A streaming endpoint. A `url` without a path gets the protocol's default path.

    `key_env` is the name of an environment variable; the key itself is read when a request is sent and never
    stored. `ca_file` (PEM) is trusted in addition to the system's authorities. With `addresses` the host name is not
    resolved: the addresses are tried in this order. `asks_usage`: OpenAI's protocol tells its usage only when asked.

    `proxy` is the URL of an HTTP proxy, which is asked for a tunnel (CONNECT). `uds` is a Unix socket to connect to
    instead of the URL's host. Without `verify` any certificate is accepted. `client_cert` and `client_key` (PEM) are
    shown to a server that asks for them; None as the key: it is in the certificate's file.
    """

    url: str
    model: str = "chaoskit"
    headers: dict[str, str] = field(default_factory=dict)
    key_env: str | None = None
    ca_file: Path | None = None
    addresses: tuple[str, ...] = ()
    sockets: SocketOptions = SocketOptions()
    asks_usage: bool = True
    proxy: str | None = None
    uds: Path | None = None
    verify: bool = True
    client_cert: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True)
class DriveProgress:
    """A moment `at` (monotonic ns) of a drive: streams that are open, have ended, were interrupted; the latest TTFT."""

    at: int
    open: int
    ended: int
    interrupted: int
    last_ttft: int | None


@dataclass(frozen=True)
class DriveOptions:
    """Start requests from monotonic stamp `start` for `length` ns or until there were `requests`; None: no limit.

    Streams that are still open `drain` ns after that are cancelled; None: they run until they end or time out.
    `fault_free` ns from the start no fault is in force (None: never): see `fail_fast`.
    `watch` is called twice a second, and must be fast.
    """

    seed: int
    start: int
    length: int | None
    drain: int | None = None
    requests: int | None = None
    fault_free: int | None = None
    watch: Callable[[DriveProgress], None] | None = None

"""Defines the probe's target and the options of a drive."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from chaoskit.errors import SpecError
from chaoskit.probe.ending import Ending
from chaoskit.probe.shares import WHOLE, Share
from chaoskit.records.model import Request
from chaoskit.spec.access import Access, check_proxy
from chaoskit.spec.classes import TrafficClass
from chaoskit.spec.demand_curve import ALWAYS, Surges

_LONGEST_SOCKET = 107  # bytes, unix(7)
DEFAULT_MODEL = "default"
"""Asked of an endpoint that lists no models."""


@dataclass(frozen=True)
class SocketOptions:
    """TCP_MAXSEG (bytes), TCP_CONGESTION and the silence before a keepalive (s) of each socket, set before it connects;
    None: the system's default, which is no keepalive.

    `ports` are tried in turn as the sockets' own ports; None: the kernel chooses them, by chance.
    """

    maxseg: int | None = None
    congestion_control: str | None = None
    keepalive: int | None = None
    ports: Iterator[int] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Target:
    """A streaming endpoint. A `url` without a path, or with a base path, gets the protocol's usual path.

    `key_env` is the name of an environment variable, or `key_file` a file, that holds the API key; `key_header` and
    `key_prefix` are None for the protocol's own. `header_env` are headers with the values of variables. `credentials`
    reads all these; nothing else here has a secret but the `proxy`, which is not shown.

    `ca_file` (PEM) is trusted in addition to the system's authorities. With `addresses` the host name is not resolved:
    the addresses are tried in this order. `asks_usage`: OpenAI's protocol tells its usage only when asked.

    `proxy` is the URL of an HTTP proxy: a tunnel (CONNECT), or the whole URL for HTTP/1.1. `uds` is a Unix socket to
    connect to instead of the URL's host. Without `verify` any certificate is accepted. `client_cert` and `client_key`
    (PEM) are shown to a server that asks for them; None as the key: it is in the certificate's file.

    With `traces`, a seed, each request names a trace of its own, from which the spans of the programs on its way are
    known; not where `headers` name one.
    """

    url: str
    model: str = "chaoskit"
    headers: dict[str, str] = field(default_factory=dict)
    key_env: str | None = None
    key_file: Path | None = None
    key_header: str | None = None
    key_prefix: str | None = None
    header_env: dict[str, str] = field(default_factory=dict)
    ca_file: Path | None = None
    addresses: tuple[str, ...] = ()
    sockets: SocketOptions = SocketOptions()
    asks_usage: bool = True
    proxy: str | None = field(default=None, repr=False)
    uds: Path | None = None
    verify: bool = True
    client_cert: Path | None = None
    client_key: Path | None = None
    traces: int | None = None


def endpoint(url: str, access: Access, environment: Mapping[str, str] = os.environ, **more: Any) -> Target:
    """The target at this URL. Raises SpecError for a proxy that the environment does not have."""
    texts = access.headers
    return Target(
        url,
        access.model or DEFAULT_MODEL,
        headers={name: text.value for name, text in texts.items() if text.value is not None},
        key_env=access.key_env,
        key_file=_path(access.key_file),
        key_header=access.key_header,
        key_prefix=access.key_prefix,
        header_env={name: text.env for name, text in texts.items() if text.env is not None},
        ca_file=_path(access.ca_file),
        proxy=_proxy(access, environment),
        verify=not access.insecure,
        client_cert=_path(access.client_cert),
        client_key=_path(access.client_key),
        **more,
    )


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name).expanduser()


def _proxy(access: Access, environment: Mapping[str, str]) -> str | None:
    if access.proxy is None or access.proxy.env is None:
        return access.proxy.value if access.proxy else None
    variable = access.proxy.env
    url = environment.get(variable, "")
    if not url:
        raise SpecError(
            f"variable {variable} is not set: export {variable}=http://..., and with sudo --preserve-env={variable}"
        )
    try:
        check_proxy(url)
    except ValueError as error:
        raise SpecError(f"variable {variable}: {error}") from None
    return url


def check_socket(path: Path) -> None:
    """Raise SpecError for what is no Unix socket that can be connected to."""
    advice = "give the path of a socket that a server listens at; ss -xl lists them"
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise SpecError(f"--uds: the path is longer than {_LONGEST_SOCKET} bytes, and no socket can have it; {advice}")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SpecError(f"--uds: {path}: {error.strerror}; {advice}") from None
    if not stat.S_ISSOCK(mode):
        raise SpecError(f"--uds: {path} is no socket; {advice}")


@dataclass(frozen=True)
class DriveProgress:
    """A moment `at` (monotonic ns) of a drive: streams that are open, have ended, were interrupted; the latest TTFT."""

    at: int
    open: int
    ended: int
    interrupted: int
    last_ttft: int | None


class Judge(Protocol):
    """Told of every request that ends; with a `sentence`, which says why, the drive is to stop."""

    sentence: str

    def ended(self, request: Request, any_token: bool, is_asked_again: bool = False) -> None:
        """A request has ended: see `fail_fast`."""

    def drive_ended(self) -> None:
        """All requests have ended."""


@dataclass(frozen=True)
class DriveOptions:
    """Start requests from monotonic stamp `start` for `length` ns or until there were `requests`; None: no limit.

    Streams that are still open `drain` ns after that are cancelled; None: they run until they end or time out.
    `fault_free` ns from the start no fault is in force (None: never): see `fail_fast`.
    `watch` is called twice a second, and must be fast. This process has a `share` of the whole. With a `judge` another
    one decides whether the first requests all failed alike. Each conversation has one of the `classes`. `surges`
    multiply the rate of an open loop. With an `ending` it may be told while it runs to start no more requests.
    """

    seed: int
    start: int
    length: int | None
    drain: int | None = None
    requests: int | None = None
    fault_free: int | None = None
    watch: Callable[[DriveProgress], None] | None = None
    share: Share = WHOLE
    judge: Judge | None = None
    classes: Mapping[str, TrafficClass] = field(default_factory=dict)
    surges: Surges = ALWAYS
    ending: Ending | None = None

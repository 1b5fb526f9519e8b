"""Classifies how a stream ended: by exception type, errno and connection state, not by message.

| cause                                               | completion                           |
|-----------------------------------------------------|--------------------------------------|
| this machine ran out of something: `OWN_LIMITS`     | `client_error`                       |
| nothing could be sent                               | `connect_failed`                     |
| the connection ended before the response did        | `truncated`                          |
| the kernel or HTTP/2 reset the connection or stream | `reset`                              |
| the bytes are not valid HTTP, TLS or events         | `protocol_error`                     |
| the response exceeds the limits of one stream       | `too_large`                          |
| any other exception: see `classify_unexpected`      | `internal_error`                     |
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import h2.errors

from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.transport.exchange import NetworkError, ProxyError, UnprocessedError
from chaoskit.records.model import Completion

PEER_ERRORS = (NetworkError, MalformedError, TooLargeError)
"""What a peer can make the transport and the probe's parsers raise. Anything else is unexpected."""

OWN_LIMITS = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.ENOBUFS, errno.ENOMEM))
"""Errors of this machine alone: open files, local ports, memory. Never the endpoint's failure."""
_OWN_LOOKUP_LIMITS = (socket.EAI_MEMORY, socket.EAI_SYSTEM)

Outcome = tuple[Completion, str]
NO_END_MARKER: Outcome = ("truncated", "the response ended without the protocol's end marker")
_PACKAGE = Path(__file__).parents[1]
_REFUSED_IN_TLS = re.compile(r"\balert\b|unrecognized name|certificate required|handshake failure")
_LOOKUP, _TLS, _CERTIFICATE, _PROXY = (
    "name lookup",
    "TLS",
    "TLS certificate",
    "no connection to the proxy",
)  # how details begin
E = TypeVar("E", bound=BaseException)


@dataclass(frozen=True)
class StreamState:
    """The state of a stream when it ended. `reset` and `goaway` are HTTP/2 error codes sent by the server."""

    was_sent: bool
    had_headers: bool
    peer_closed: bool
    reset: int | None = None
    goaway: int | None = None


def classify(error: Exception, state: StreamState) -> Outcome:
    """The completion and its detail for one of `PEER_ERRORS`."""
    causes = list(_cause_chain(error))
    if own := own_limit(causes):
        return "client_error", own
    if not state.was_sent and (refused := _find(causes, UnprocessedError)) and str(refused):
        return "protocol_error", str(refused)
    if not state.was_sent:
        return "connect_failed", _connect_failure(causes)
    if too_large := _find(causes, TooLargeError):
        return "too_large", str(too_large)
    if malformed := _find(causes, MalformedError):
        return "protocol_error", str(malformed)
    if state.reset is not None:
        return "reset", f"RST_STREAM {_error_code(state.reset)}"
    if state.goaway is not None:
        return "reset", f"closed after GOAWAY {_error_code(state.goaway)}"
    if _find(causes, ssl.SSLEOFError):
        return "truncated", "closed without TLS's close_notify"
    if tls := _find(causes, ssl.SSLError):
        return "protocol_error", _tls_detail(tls)
    if broken := _find(causes, OSError):
        return "reset", _os_error(broken)
    if state.peer_closed:
        return (
            "truncated",
            "closed during the response" if state.had_headers else "closed before any response",
        )
    return "protocol_error", "invalid HTTP"


def classify_unexpected(error: Exception) -> Outcome:
    """The same for other exceptions. The exception's text is left out, because it may contain anything.

    It is a bug in chaoskit, whose place the detail names, unless this machine ran out of something.
    """
    if own := own_limit(list(_cause_chain(error))):
        return "client_error", own
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if _PACKAGE in path.parents:
            place = path.relative_to(_PACKAGE.parent)
            return "internal_error", f"a mistake in chaoskit: {type(error).__name__} in {place}:{frame.lineno}"
    return "internal_error", f"a mistake in chaoskit: {type(error).__name__}"


def own_limit(causes: Iterable[BaseException]) -> str:
    """What this machine ran out of; "" when that is not what happened."""
    latest = next((cause for cause in causes if isinstance(cause, MemoryError | OSError)), None)
    match latest:
        case MemoryError():
            return "this client ran out of memory"
        case socket.gaierror() if latest.errno in _OWN_LOOKUP_LIMITS:
            return f"this client's own limit, at the {_LOOKUP}: {latest.strerror or 'failed'}".lower()
        case OSError() if not isinstance(latest, socket.gaierror) and latest.errno in OWN_LIMITS:
            return f"this client's own limit: {_os_error(latest)}"
    return ""


def connect_advice(detail: str, has_ca_file: bool = False) -> str:
    """What to try when every connection ends with this detail; `has_ca_file`: more authorities are trusted."""
    if detail.startswith(_LOOKUP):
        return "check the host name, and this machine's resolver: getent hosts NAME"
    if detail.startswith(_PROXY):
        return "check the host and the port of the proxy, and whether it runs"
    if "the proxy" in detail:
        return "check the proxy's URL, and whether it may connect to the target"
    if detail.startswith(_CERTIFICATE):
        return _certificate_advice(detail, has_ca_file)
    if detail.startswith(_TLS) and _REFUSED_IN_TLS.search(detail):
        return (
            "the server speaks TLS, and refuses this handshake: check the host name in the URL, and whether it wants "
            "a certificate of the client: --client-cert FILE, in a file client-cert: FILE"
        )
    if detail.startswith(_TLS):
        return "check whether the port speaks TLS: http:// instead of https://"
    return "check host and port, and whether the server runs"


def _certificate_advice(detail: str, has_ca_file: bool) -> str:
    if "mismatch" in detail:
        return "give the URL with a name or an address that the certificate has"
    if "expired" in detail or "not yet valid" in detail:
        return "renew the certificate, and check this machine's clock"
    if has_ca_file:
        return "the given file of authorities does not hold the one that signed it: give that one"
    return "trust its authority: --ca-file FILE, in a file ca-file: FILE"


def _connect_failure(causes: list[BaseException]) -> str:
    if unreachable := _find(causes, ProxyError):
        rest = _connect_failure([each for each in causes if each is not unreachable])
        return f"{_PROXY} {unreachable.proxy}: {rest}"
    if said := _find(causes, TooLargeError) or _find(causes, MalformedError):
        return str(said)
    if unknown := _find(causes, socket.gaierror):
        return f"{_LOOKUP}: {unknown.strerror or 'failed'}".lower()
    if certificate := _find(causes, ssl.SSLCertVerificationError):
        return f"{_CERTIFICATE}: {certificate.verify_message}"
    if _find(causes, ssl.SSLEOFError):
        return "closed during the TLS handshake"
    if tls := _find(causes, ssl.SSLError):
        return _tls_detail(tls)
    if broken := _find(causes, OSError):
        return _os_error(broken)
    return "closed before anything was sent"


def _cause_chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, its causes and its contexts, newest first."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__context__, one.__cause__]


def _find(causes: list[BaseException], kind: type[E]) -> E | None:
    return next((cause for cause in causes if isinstance(cause, kind)), None)


def _os_error(error: OSError) -> str:
    if error.errno is None:
        return "unreachable"
    name = errno.errorcode.get(error.errno, str(error.errno))
    return f"{os.strerror(error.errno).lower()} ({name})"


def _tls_detail(error: ssl.SSLError) -> str:
    return f"{_TLS}: {(error.reason or 'failed').replace('_', ' ').lower()}"


def _error_code(code: int) -> str:
    try:
        return h2.errors.ErrorCodes(code).name
    except ValueError:
        return f"{code:#x}"

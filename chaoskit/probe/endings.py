"""How a stream ended, in METRICS' classes and a few safe words: by type, errno and state, never by a text.

| what happened                                        | completion       |
|------------------------------------------------------|------------------|
| nothing could be sent                                | `connect_failed` |
| the connection's end came before the answer's        | `truncated`      |
| the kernel or HTTP/2 broke the connection or stream  | `reset`          |
| what came is no HTTP, no TLS, no event               | `protocol_error` |

httpcore raises again `from None`: what it hides is still there as the exception's context.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import h2.errors
import h2.exceptions
import httpcore
import httpx

from chaoskit.probe.wire import MalformedError
from chaoskit.records.model import Completion

FOREIGN = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    h2.exceptions.H2Error,
    httpx.TransportError,
    MalformedError,
)
"""What the far side can make httpcore, hyper-h2, httpx and our own parsers raise. All else is a mistake of ours."""

Ending = tuple[Completion, str]
WITHOUT_MARKER: Ending = ("truncated", "the response ended without the protocol's end marker")
E = TypeVar("E", bound=BaseException)


@dataclass(frozen=True)
class Scene:
    """What was known when it ended. `reset` and `goaway` are HTTP/2 error codes that the server sent."""

    was_sent: bool
    had_headers: bool
    other_side_closed: bool
    reset: int | None = None
    goaway: int | None = None


def of(error: Exception, scene: Scene) -> Ending:
    """The completion and its detail for what `FOREIGN` caught."""
    causes = list(_causes(error))
    if not scene.was_sent:
        return "connect_failed", _connecting(causes)
    if malformed := _only(causes, MalformedError):
        return "protocol_error", str(malformed)
    if scene.reset is not None:
        return "reset", f"RST_STREAM {_code(scene.reset)}"
    if scene.goaway is not None:
        return "reset", f"GOAWAY {_code(scene.goaway)}; this client cannot finish a stream after that"
    if _only(causes, ssl.SSLEOFError):
        return "truncated", "closed without TLS's close_notify"
    if tls := _only(causes, ssl.SSLError):
        return "protocol_error", _tls(tls)
    if broken := _only(causes, OSError):
        return "reset", _words(broken)
    if scene.other_side_closed:
        return (
            "truncated",
            "closed within the response" if scene.had_headers else "closed before any response",
        )
    return "protocol_error", "no valid HTTP"


def _connecting(causes: list[BaseException]) -> str:
    if unknown := _only(causes, socket.gaierror):
        return f"name lookup: {unknown.strerror or 'failed'}".lower()
    if certificate := _only(causes, ssl.SSLCertVerificationError):
        return f"TLS certificate: {certificate.verify_message}"
    if _only(causes, ssl.SSLEOFError):
        return "closed within the TLS handshake"
    if tls := _only(causes, ssl.SSLError):
        return _tls(tls)
    if broken := _only(causes, OSError):
        return _words(broken)
    return "closed before anything was sent"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and what it was raised from or while handling, newest first."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__context__, one.__cause__]


def _only(causes: list[BaseException], kind: type[E]) -> E | None:
    return next((cause for cause in causes if isinstance(cause, kind)), None)


def _words(error: OSError) -> str:
    if error.errno is None:
        return "unreachable"
    name = errno.errorcode.get(error.errno, str(error.errno))
    return f"{os.strerror(error.errno).lower()} ({name})"


def _tls(error: ssl.SSLError) -> str:
    return f"TLS: {(error.reason or 'failed').replace('_', ' ').lower()}"


def _code(code: int) -> str:
    try:
        return h2.errors.ErrorCodes(code).name
    except ValueError:
        return f"{code:#x}"

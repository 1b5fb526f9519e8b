"""How a stream ended, in METRICS' classes and a few safe words: by type, errno and state, never by a text.

| what happened                                        | completion       |
|------------------------------------------------------|------------------|
| nothing could be sent                                | `connect_failed` |
| the connection's end came before the answer's        | `truncated`      |
| the kernel or HTTP/2 broke the connection or stream  | `reset`          |
| what came is no HTTP, no TLS, no event               | `protocol_error` |
| what came is more than one stream may have           | `too_large`      |
| something that nobody has foreseen: see `unforeseen` | `protocol_error` or `internal_error` |

httpcore raises again `from None`: what it hides is still there as the exception's context.
"""

from __future__ import annotations

import errno
import inspect
import os
import socket
import ssl
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import h2.errors
import h2.exceptions
import h11
import httpcore

from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.records.model import Completion

FOREIGN = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    h2.exceptions.H2Error,
    MalformedError,
    TooLargeError,
)
"""What the far side can make httpcore, hyper-h2 and our own parsers raise. All else is unforeseen."""

Ending = tuple[Completion, str]
WITHOUT_MARKER: Ending = ("truncated", "the response ended without the protocol's end marker")
_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = {Path(inspect.getfile(library)).parents[1] for library in (h11, h2, httpcore)}
_TOO_LONG = 431  # RFC 6585: h11's hint for a line or head that does not end
E = TypeVar("E", bound=BaseException)


@dataclass(frozen=True)
class StreamState:
    """What was known when it ended. `reset` and `goaway` are HTTP/2 error codes that the server sent."""

    was_sent: bool
    had_headers: bool
    other_side_closed: bool
    reset: int | None = None
    goaway: int | None = None


def of(error: Exception, scene: StreamState) -> Ending:
    """The completion and its detail for what `FOREIGN` caught."""
    causes = list(_causes(error))
    if not scene.was_sent:
        return "connect_failed", _connecting(causes)
    if too_large := _too_large(causes):
        return "too_large", too_large
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


def unforeseen(error: Exception) -> Ending:
    """The same for what `FOREIGN` does not catch, without the exception's text, which may hold anything.

    What a library for HTTP raises by itself is caused by the bytes that it was given. All else is a mistake in
    chaoskit, and says where.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if _PACKAGE in path.parents:
            place = path.relative_to(_PACKAGE.parent)
            return "internal_error", f"a mistake in chaoskit: {type(error).__name__} in {place}:{frame.lineno}"
        if not _LIBRARIES.isdisjoint(path.parents):
            return "protocol_error", "no valid HTTP"
    return "internal_error", f"a mistake in chaoskit: {type(error).__name__}"


def _too_large(causes: list[BaseException]) -> str | None:
    if ours := _only(causes, TooLargeError):
        return str(ours)
    if _only(causes, h2.exceptions.DenialOfServiceError):
        return "headers of more than 65536 bytes"  # what httpcore allows
    if any(isinstance(cause, h11.RemoteProtocolError) and cause.error_status_hint == _TOO_LONG for cause in causes):
        return "a line of chunked coding, or trailers, of more than 102400 bytes"  # what httpcore allows
    return None


def _connecting(causes: list[BaseException]) -> str:
    if too_large := _only(causes, TooLargeError):
        return str(too_large)
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

"""Says what to try next when the first requests of a drive all fail alike.

A sentence that already holds what to type, such as `--http 2`, gets no further advice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from chaoskit.probe.completion import connect_advice
from chaoskit.probe.transport.foreign_bytes import HTTP1_ADVICE, HTTP2_ADVICE, TLS_ADVICE
from chaoskit.probe.transport.tls import NO_COMMON_HTTP
from chaoskit.records.model import Request
from chaoskit.spec.endpoint import protocol_of

PAGE = "text/html"
"""What the detail of an HTTP error has after its status, where the body is a page."""

_WRONG_PATH = (404, 405)
_INVALID_REQUEST = (400, 405, 406, 415, 422)
_WANTS_TLS = re.compile(r"\b(?:HTTPS|SSL|TLS)\b")
_NO_ROOM = re.compile(
    r"\b(429|5[0-9][0-9])\b|overload|capacity|rate.?limit|too many|try again|unavailable|busy|internal", re.IGNORECASE
)


@dataclass(frozen=True)
class Circumstances:
    """What a drive asks: the `url`, in this protocol, which the server has perhaps at the `usual_path`.

    `is_stream`: the body asks for a stream. `http` is the version, `has_ca_file`: more authorities are trusted.
    """

    url: str
    protocol: str
    usual_path: str = ""
    is_stream: bool = True
    http: str = "1.1"
    has_ca_file: bool = False


def advice(asked: Circumstances, request: Request) -> str:
    """What to try next: perhaps the protocol that the path has, or the path that the protocol usually has."""
    if any(known in request.detail for known in (HTTP1_ADVICE, HTTP2_ADVICE, TLS_ADVICE)):
        return ""
    if NO_COMMON_HTTP in request.detail:
        return HTTP2_ADVICE if asked.http != "2" else "check the port: it speaks TLS, and another protocol inside"
    if request.status == 200 and not asked.is_stream:
        return (
            "the body asks for no stream: write no `stream` in --extra-body, in a file extra-body: "
            "only a stream can be measured"
        )
    usual = protocol_of(asked.url)
    is_understood = request.status is not None and request.status in (200, 404, *_INVALID_REQUEST)
    if is_understood and usual not in (None, asked.protocol):
        return f"its path is one of {usual}: --protocol {usual}, in a file protocol: {usual}"
    path = urlsplit(asked.url).path
    if asked.usual_path and request.status in _WRONG_PATH and path != asked.usual_path:
        return (
            f"the path asked is {path}, and that of {asked.protocol} usually {asked.usual_path}: give a URL that "
            "ends in the usual path or in its version, or check the protocol and the model"
        )
    return _by_completion(asked, request)


def _by_completion(asked: Circumstances, request: Request) -> str:
    match request.completion, request.status or 0:
        case "http_error", 400 if asked.url.startswith("http:") and _WANTS_TLS.search(request.detail):
            return "the port speaks TLS: https:// instead of http://"
        case "http_error", 400 | 401 | 403 if request.detail.startswith(f"{request.status}, {PAGE}"):
            return (
                "a page is the answer of a gateway, a firewall or a login before the service: check the URL, and "
                "whether it lets this client through"
            )
        case "http_error", 401 | 403:
            return "check the API key: --api-key-env NAME, in a file key-env: NAME"
        case "http_error", 404:
            return "check the URL's path, the protocol and the model"
        case "http_error", 429:
            return "its rate limit was reached before the first answer: wait, or raise the limit"
        case "http_error", status if status in _INVALID_REQUEST:
            return "check the protocol and the model"
        case "http_error", status if status in range(300, 400):
            return "give the URL that it redirects to"
        case "http_error", 502:
            return "a gateway answers, and the service behind it does not: see whether that runs, and the gateway's log"
        case "http_error", 504:
            return (
                "a gateway gave up waiting for the service (nginx proxy_read_timeout, HAProxy timeout server): give "
                "it more time than a first token takes, or see why the service is slow"
            )
        case "http_error", status if status >= 500:
            return "the service or its gateway fails: see its log, and try again"
        case (("connect_failed" | "client_error"), _):
            return connect_advice(request.detail, asked.has_ca_file)
        case "error_event", status if "content-type" not in request.detail:
            return _inside_a_success(request.detail, status)
        case _, status if status:
            return "the server speaks HTTP, but not this protocol: check the URL's path and the protocol"
        case _:
            return "check the URL and the protocol, and whether it is https or another HTTP version"


def _inside_a_success(detail: str, status: int) -> str:
    """For an error that the body of a success tells."""
    if _NO_ROOM.search(detail):
        return f"the error came inside a {status}: the service fails or has no room: see its log, and try again"
    return f"the error came inside a {status}: check the model and the protocol"

"""Holds a client's request, and a response that is sent at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Headers = tuple[tuple[str, str], ...]

JSON = "application/json"
STREAM_HEADER = "x-chaoskit-stream"
SCRIPT_HEADER = "x-chaoskit-script"
READ_HEADERS = frozenset({STREAM_HEADER, SCRIPT_HEADER, "accept-encoding", "anthropic-version", "x-goog-api-key"})
"""The header fields that any part of the reference server looks at."""


@dataclass(frozen=True, slots=True)
class Request:
    """A complete HTTP request. Header names are in lower case; `received` is monotonic ns."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    received: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that is sent at once."""

    status: int
    headers: Headers
    body: bytes


class BadRequestError(ValueError):
    """An invalid request; the message is sent to the client."""


BUSY = (503, "the server is overloaded; try again", (("retry-after", "1"),))
"""Arguments of `routes.error` after the API."""


def body_too_large(limit: int) -> tuple[int, str]:
    """Arguments of `routes.error` after the API, for a body above `limit` bytes."""
    return 413, f"a body of more than {limit} bytes"


def json_reply(status: int, body: Any, headers: Headers = ()) -> Reply:
    """A response with a JSON body."""
    raw = json.dumps(body).encode()
    return Reply(status, (("content-type", JSON), ("content-length", str(len(raw))), *headers), raw)

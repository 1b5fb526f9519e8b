"""Defines who answers requests, whatever the HTTP version: the reference server or another tier."""

from __future__ import annotations

from typing import Literal, Protocol

from chaoskit.records.jsonl import Log
from chaoskit.server.limits import Budget, Limits
from chaoskit.server.requests import Request
from chaoskit.server.writer import ResponseWriter

Outcome = Literal["sent", "client-left", "failed"]


class Response(Protocol):
    """One response in progress."""

    @property
    def stream(self) -> int | None:
        """The client's number of this stream."""

    @property
    def is_blocked(self) -> bool:
        """Whether more is to be sent and the client does not read."""

    def lag(self, now: int) -> int:
        """How far it is behind its schedule at `now`, ns; 0 where it has none."""

    def resume(self) -> None:
        """The client reads again."""

    def stop(self, outcome: Outcome) -> None:
        """Stop, and record the outcome."""


class Dispatcher(Protocol):
    """Responds to requests. All connections of one server share it, its limits and its budgets."""

    limits: Limits
    memory: Budget
    requests: Budget
    unacked: Log | None
    read_headers: frozenset[str]
    """The header fields that it looks at, in lower case; HTTP/2 connections keep no other."""

    def take(self, request: Request, writer: ResponseWriter) -> Response | None:
        """Respond at once, or begin a response."""

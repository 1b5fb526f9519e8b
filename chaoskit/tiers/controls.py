"""Defines what decides over a gateway's requests: admission, and the service that they get.

`Admission.admit` is asked once before a request runs, and told when it has ended. `Ladder.service` is asked before each
stage, so that a step that comes into force holds for what is still to be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from chaoskit.tiers.tracing import OpenSpan


@dataclass(frozen=True)
class Asked:
    """A request at the gateway: its workflow, its header fields, its body, and when it came."""

    workflow: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    received: int


@dataclass(frozen=True)
class Ended:
    """How an admitted request ended: when, when its first bytes went to the client, and its `error.type`."""

    at: int
    first_token: int | None
    error: str | None


class Ticket(Protocol):
    """An admitted request."""

    def first_token(self, at: int) -> None:
        """The first bytes of its answer are sent."""

    def ended(self, ended: Ended) -> None:
        """It has ended, in whatever way."""


class Admission(Protocol):
    """Lets requests in."""

    async def admit(self, asked: Asked, span: OpenSpan) -> Ticket:
        """Return when the request may run. Raises RequestError for one that is shed."""


@dataclass(frozen=True)
class Service:
    """What a request gets: its share of the asked breadth, its tools, its longest answer.

    `steps` are the names of what is degraded, in order; they mark the answer.
    """

    breadth: float = 1.0
    plan: Literal["all", "single"] = "all"
    max_tokens: int | None = None
    steps: tuple[str, ...] = ()


FULL = Service()


class Ladder(Protocol):
    """Degrades the service step by step."""

    def service(self, asked: Asked) -> Service:
        """What requests get now."""


class _Unnoticed:
    def first_token(self, at: int) -> None:
        """Nothing."""

    def ended(self, ended: Ended) -> None:
        """Nothing."""


class AdmitsAll:
    """Admits every request at once."""

    async def admit(self, asked: Asked, span: OpenSpan) -> Ticket:
        """At once."""
        del asked, span
        return _Unnoticed()


class NoLadder:
    """Always the full service."""

    def service(self, asked: Asked) -> Service:
        """All."""
        del asked
        return FULL

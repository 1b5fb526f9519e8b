"""Defines what a gateway's admission is asked and told, and how much service its ladder leaves.

Admission is asked once before a request runs, and told when it has ended. `Ladder.service` is asked before each stage,
so that a step that comes into force holds for what is still to be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Asked:
    """A request at the gateway: its workflow, its header fields, its body, and when it came."""

    workflow: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    received: int


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

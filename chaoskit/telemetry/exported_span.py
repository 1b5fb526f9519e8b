"""Defines a span as a program exported it, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Value = str | bool | int | float
"""Of an attribute; lists and maps are left out."""
MOST_ATTRIBUTES = 256  # of one span: the SDKs' own limit is 128
MOST_TEXT = 1024  # characters of a name or a value that are kept


@dataclass(frozen=True, slots=True)
class ExportedSpan:
    """One span. Its texts are the program's, and bounded; its stamps are ns of that program's real-time clock."""

    trace: str
    span: str
    parent: str | None
    service: str
    """Its resource's `service.name`; "" where it has none."""
    name: str
    begin: int
    end: int
    has_error: bool = False
    """Whether its status is ERROR."""
    exception: str | None = None
    """The type of the last exception that it recorded."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    is_served: bool = False
    """Whether its kind is SERVER or CONSUMER: it answers a call, and its `server.address` is its own host's."""


class Batch(NamedTuple):
    """The spans of one export, and how many of it were none: without identity, or with an end before their begin."""

    spans: list[ExportedSpan]
    wrong: int


class UnreadableError(ValueError):
    """What was sent is no export; the message says why, in one line, and `status` answers it."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def text(value: str) -> str:
    """A text of bounded length that can be written down."""
    return value[:MOST_TEXT].encode(errors="replace").decode()


def is_whole(span: ExportedSpan) -> bool:
    """Whether it has an identity and a length."""
    return bool(span.trace.strip("0")) and bool(span.span.strip("0")) and 0 < span.begin <= span.end

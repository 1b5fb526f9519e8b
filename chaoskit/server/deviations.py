"""Holds what a script may do to a share of the responses, as plain data.

`malformations.of_deviation` says what each means for a response.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chaoskit.units import Duration, Share

CutBy = Literal["reset", "close", "chunk", "end"]
ALL = Share(Share.largest)


@dataclass(frozen=True)
class Pause:
    """Nothing is sent for `length` after `after` tokens; then the stream continues at its pace."""

    after: int
    length: Duration
    share: Share = ALL


@dataclass(frozen=True)
class Refusal:
    """An error response instead of a stream, with Retry-After in seconds if given."""

    status: int
    retry_after: int | None = None
    share: Share = ALL


@dataclass(frozen=True)
class ErrorEvent:
    """An error event in the stream, after `after` tokens; then the response ends properly."""

    after: int
    share: Share = ALL


@dataclass(frozen=True)
class Cut:
    """The response breaks off after `after` tokens."""

    after: int
    by: CutBy
    share: Share = ALL


@dataclass(frozen=True)
class Malformed:
    """One of the named malformations."""

    name: str
    share: Share = ALL

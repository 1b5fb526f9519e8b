"""Says when a token is due and leaves: by the script, or when an engine has computed it."""

from __future__ import annotations

from typing import Protocol

from chaoskit.server.schedule import PlannedResponse


class Pace(Protocol):
    """When the event of `count` tokens from token `seq` on is due, and when it leaves; None: not known yet. Both in ns.

    An event leaves after it is due by the pauses so far.
    """

    def due(self, seq: int, count: int = 1) -> int | None:
        """When the server means to send it."""

    def leaves(self, seq: int, count: int = 1) -> int | None:
        """When it is sent."""


class ScriptedPace:
    """On a fixed schedule after the request: an event is due with its first token."""

    def __init__(self, planned: PlannedResponse, received: int) -> None:
        self._planned = planned
        self._received = received

    def due(self, seq: int, count: int = 1) -> int:
        """See `Pace`."""
        return self._planned.due(self._received, seq)

    def leaves(self, seq: int, count: int = 1) -> int:
        """See `Pace`."""
        return self._planned.leaves(self._received, seq)


class ComputedPace:
    """As an engine computes them: an event is due when its last token is there. `stamps` grows."""

    def __init__(self, planned: PlannedResponse, stamps: list[int]) -> None:
        self._planned = planned
        self._stamps = stamps

    def due(self, seq: int, count: int = 1) -> int | None:
        """See `Pace`."""
        last = seq + count - 1
        return self._stamps[last] if last < len(self._stamps) else None

    def leaves(self, seq: int, count: int = 1) -> int | None:
        """See `Pace`."""
        due = self.due(seq, count)
        return None if due is None else due + self._planned.paused_before(seq)

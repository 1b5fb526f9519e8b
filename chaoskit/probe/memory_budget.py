"""Bounds the memory in which all responses of a drive together keep events whose end has not come yet."""

from __future__ import annotations

from chaoskit.probe.framing import TooLargeError
from chaoskit.units import Size

MOST = Size(256 * 10**6)


class MemoryBudget:
    """How many bytes are held; a stream that wants more than is left fails, the others go on."""

    def __init__(self, most: Size = MOST) -> None:
        self._most = most
        self._held = 0

    def change(self, before: int, after: int) -> None:
        """One stream holds `after` bytes instead of `before`. Raises TooLargeError, and takes nothing then."""
        if after > before and self._held + after - before > self._most:
            raise TooLargeError(f"unfinished events of all streams together are more than {self._most}")
        self._held += after - before

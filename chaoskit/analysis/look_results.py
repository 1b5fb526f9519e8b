"""Defines what a result tells of the looks of a run that ends when its objectives are decided."""

from __future__ import annotations

from pydantic import Field

from chaoskit.analysis.finite_json import FiniteJson


class LookResult(FiniteJson):
    """What a look at a run found: `at_s` after the first phase began, with this many rounds done, or nearly so."""

    at_s: float
    round: int
    met: tuple[str, ...]
    broken: tuple[str, ...]
    undecided: tuple[str, ...]


class UntilDecided(FiniteJson):
    """The looks of a run that was to end when its objectives are decided, of so many at most.

    The last one, after so many rounds that the time was up, is the result itself, and not among them.
    """

    most: int
    rounds: int = Field(description="How many rounds of the timeline were run.")
    looks: tuple[LookResult, ...]
    is_out_of_time: bool

    @property
    def made(self) -> int:
        """How many looks were taken, with the result where the time was up."""
        return len(self.looks) + self.is_out_of_time

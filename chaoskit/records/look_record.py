"""Defines the record of a look at a run that ends when its objectives are decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """What the objectives were, at one look of a run that ends when all are decided."""

    at: int
    """When it began."""
    round: int
    """How many rounds were done, or nearly so."""
    met: tuple[str, ...]
    """The objectives that were met so far."""
    broken: tuple[str, ...]
    """Those that were broken."""
    undecided: tuple[str, ...]
    """Those that were not decided; without any the run ends with a round."""

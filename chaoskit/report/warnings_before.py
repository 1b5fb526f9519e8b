"""Tells on standard error, before anything is run, what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.planning.decidability import decidability_warnings, joint_advice
from chaoskit.planning.model import Plan
from chaoskit.terminal import note


def note_undecidable(plans: Iterable[Plan]) -> None:
    """Tell which objectives of these plans cannot be decided."""
    found = list(plans)
    note_warnings(
        (sentence for plan in found for sentence in decidability_warnings(plan)),
        (sentence for plan in found for sentence in joint_advice(plan)),
    )


def note_warnings(warnings: Iterable[str], advice: Iterable[str]) -> None:
    """Write each sentence once."""
    lines = (*(f"warning: {each}" for each in warnings), *(f"advice: {each}" for each in advice))
    note(*dict.fromkeys(lines))

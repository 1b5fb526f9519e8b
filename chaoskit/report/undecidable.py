"""Tells on standard error which objectives of plans cannot be decided, before they are run."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.planning.decidability import decidability_warnings, joint_advice
from chaoskit.planning.model import Plan
from chaoskit.terminal import note


def note_undecidable(plans: Iterable[Plan]) -> None:
    """Write each sentence once."""
    found = list(plans)
    warnings = (f"warning: {sentence}" for plan in found for sentence in decidability_warnings(plan))
    advice = (f"advice: {sentence}" for plan in found for sentence in joint_advice(plan))
    note(*dict.fromkeys((*warnings, *advice)))

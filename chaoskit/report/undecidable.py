"""Tells on standard error which objectives of plans cannot be decided, before they are run."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.plan.decidability import decidability_warnings
from chaoskit.plan.model import Plan
from chaoskit.terminal import note


def note_undecidable(plans: Iterable[Plan]) -> None:
    """Write each sentence once."""
    sentences = (sentence for plan in plans for sentence in decidability_warnings(plan))
    note(*(f"warning: {sentence}" for sentence in dict.fromkeys(sentences)))

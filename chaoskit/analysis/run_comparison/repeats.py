"""Finds runs with the same records: copies, which are refused, and repeats, which count once.

Rules: a run in virtual time repeats byte for byte with its seed. On one side a repeat counts once, or it would be taken
for more streams; on both sides it says that nothing changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.run_comparison.measured import MeasuredRun
from chaoskit.errors import SpecError

Runs = Sequence[tuple[str, MeasuredRun]]
"""The runs of a side, each with its variant."""


def require_no_copies(every: Sequence[Runs]) -> None:
    """Raises SpecError where a run is a copy of another."""
    seen: list[MeasuredRun] = []
    for _, run in (pair for runs in every for pair in runs):
        if (other := next((each for each in seen if run.is_copy_of(each)), None)) is not None:
            raise SpecError(f"{run.name} is a copy of {other.name}: a run compared with itself says nothing")
        seen.append(run)


def counted_once(runs: Runs) -> list[tuple[str, MeasuredRun]]:
    """Those of a side without repeats."""
    found: list[tuple[str, MeasuredRun]] = []
    for variant, run in runs:
        if _alike(found, variant, run) is None:
            found.append((variant, run))
    return found


def repeats(runs: Runs) -> Iterator[str]:
    """A sentence for each run of a side that repeats one before it."""
    for number, (variant, run) in enumerate(runs):
        if (other := _alike(runs[:number], variant, run)) is not None:
            yield (
                f"{run.name} has the same records as {other.name}, and counts once with it; run it with another --seed"
            )


def shared(reference: Runs, runs: Runs) -> Iterator[str]:
    """A sentence for each run that repeats one of the reference."""
    for variant, run in runs:
        if (other := _alike(reference, variant, run)) is not None:
            yield f"{run.name} has the same records as {other.name}, byte for byte"


def _alike(runs: Runs, variant: str, run: MeasuredRun) -> MeasuredRun | None:
    return next((each for name, each in runs if name == variant and each.has_records_of(run)), None)

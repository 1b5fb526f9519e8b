"""Reads the options of `chaoskit limit`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaoskit.errors import SpecError
from chaoskit.limit.prepared_search import Asked, Budget
from chaoskit.spec.options import duration, share
from chaoskit.spec.overrides import parse_settings, parse_variations

_FINEST, _COARSEST = 0.001, 0.5


def asked_of(
    file: Path,
    vary: Sequence[str],
    ends: tuple[str, str],
    precision: str,
    settings: Sequence[str],
    variant: str | None,
    at_least: str | None,
) -> Asked:
    """What is asked. Raises SpecError for what cannot be."""
    if str(file) == "-":
        raise SpecError("a search reads its file in each run: write it to a file instead of -")
    paths = [each for each in vary if "=" not in each]
    if len(paths) != 1:
        given = f"{len(paths)} paths are" if paths else "none is"
        raise SpecError(
            f"--vary: {given} without values, and the dose is one; write the others with values: PATH=20ms,40ms"
        )
    width = share("precision", precision)
    if not _FINEST <= width <= _COARSEST:
        raise SpecError(f"--precision: {precision} is out of bounds; {_FINEST:.1%} to {_COARSEST:.0%} of the range")
    along = parse_variations([each for each in vary if "=" in each])
    return Asked(file, paths[0], *ends, width, parse_settings(settings), along, variant, at_least)


def budget_of(max_runs: int, max_time: str | None, max_requests: int | None) -> Budget:
    """What may be used. Raises SpecError."""
    return Budget(max_runs, duration("max-time", max_time) if max_time is not None else None, max_requests)

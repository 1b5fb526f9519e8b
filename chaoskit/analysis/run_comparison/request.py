"""Makes a request to compare from the options of a command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from chaoskit.analysis.run_comparison.result import DifferenceKind
from chaoskit.errors import SpecError
from chaoskit.faults.schema import suggestion
from chaoskit.spec.tolerances import Tolerances, tolerances

KINDS: tuple[DifferenceKind, ...] = get_args(DifferenceKind)


@dataclass(frozen=True)
class Request:
    """What is asked: sides of run directories, of which the first is the reference, and how they are judged."""

    groups: tuple[tuple[Path, ...], ...]
    tolerances: Tolerances = field(default_factory=Tolerances)
    tolerance_texts: tuple[str, ...] = ()
    despite: frozenset[DifferenceKind] = frozenset()


def request(
    runs: Sequence[Path],
    baseline: Sequence[Path],
    candidate: Sequence[Path],
    tolerance_texts: Sequence[str],
    despite: str | None,
) -> Request:
    """The request: directories each compared with the first, or two pools. Raises SpecError."""
    if runs and (baseline or candidate):
        raise SpecError(f"{runs[0]} belongs to neither side; write it after --baseline or after --candidate")
    if bool(baseline) != bool(candidate):
        missing = "--candidate" if baseline else "--baseline"
        raise SpecError(f"{missing} is missing; write chaoskit compare --baseline RUNDIR... --candidate RUNDIR...")
    if not baseline and len(runs) < 2:
        other = f"another run directory than {runs[0]}" if runs else "two run directories"
        raise SpecError(f"a comparison takes {other}; write chaoskit compare {runs[0] if runs else 'RUNDIR'} RUNDIR")
    groups = (tuple(baseline), tuple(candidate)) if baseline else tuple((run,) for run in runs)
    return Request(groups, tolerances(tolerance_texts), tuple(tolerance_texts), frozenset(_kinds(despite or "")))


def _kinds(text: str) -> Iterator[DifferenceKind]:
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word not in KINDS:
            raise SpecError(f"--despite: {word!r} is nothing that can differ; {suggestion(word, KINDS)}")
        yield word

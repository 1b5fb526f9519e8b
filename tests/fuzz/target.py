"""Defines a fuzz target and the loop that runs it. Mutations come from a seed, so that runs are repeatable."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from chaoskit import clock

CASES = Path(__file__).parent / "cases"
SLOW = 5 * 10**9  # ns that one input may take
MAX_FINDINGS = 20  # after which a target is stopped

Judge = Callable[[bytes], None]
"""Tries one input. Raises for a result that is not allowed."""
Mutate = Callable[[Random, list[bytes]], bytes]
"""New input from the seeds."""


@dataclass(frozen=True)
class Target:
    """Code that takes untrusted input. `open` yields its judge; on exit it makes final checks and raises
    AssertionError."""

    name: str
    seeds: Callable[[], list[bytes]]
    mutate: Mutate
    open: Callable[[], AbstractContextManager[Judge]]


@dataclass
class Outcome:
    """The result of one target. `findings`: the input and the traceback."""

    name: str
    inputs: int = 0
    spent: int = 0  # ns
    findings: list[tuple[bytes, str]] = field(default_factory=list)


def plain(judge: Judge) -> Callable[[], AbstractContextManager[Judge]]:
    """For a target without setup or teardown."""

    @contextmanager
    def opened() -> Iterator[Judge]:
        yield judge

    return opened


def cases(target: Target) -> list[Path]:
    """The saved cases of a target."""
    return sorted(path for path in (CASES / target.name).glob("*") if path.is_file())


def replay(target: Target) -> None:
    """Try all saved cases; raises the first failure."""
    with target.open() as judge:
        for path in cases(target):
            judge(path.read_bytes())


def run(target: Target, seed: int, count: int | None = None, length: int | None = None) -> Outcome:
    """Try `count` inputs, or for `length` ns. The seeds come first, unchanged."""
    outcome, random, started = Outcome(target.name), Random(f"{target.name} {seed}"), clock.now()
    seeds = target.seeds() + [path.read_bytes() for path in cases(target)]
    known: set[str] = set()
    try:
        with target.open() as judge:
            while count is None or outcome.inputs < count:
                if length is not None and clock.now() - started > length:
                    break
                data = seeds[outcome.inputs] if outcome.inputs < len(seeds) else target.mutate(random, seeds)
                outcome.inputs += 1
                report = _try(judge, data)
                if report and _kind(report) not in known:
                    known.add(_kind(report))
                    outcome.findings.append((data, report))
                    if len(outcome.findings) == MAX_FINDINGS:
                        break
    except AssertionError as error:
        outcome.findings.append((b"", f"at the end: {error}"))
    outcome.spent = clock.now() - started
    return outcome


def save_case(name: str, data: bytes) -> Path:
    """Save a finding as a case."""
    path = CASES / name / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _kind(report: str) -> str:
    """The identity of a finding: the innermost line of chaoskit in the traceback, and the exception type."""
    lines = report.splitlines()
    ours = [line for line in lines if "/chaoskit/" in line] or lines
    return f"{ours[-1]} {lines[-1].partition(':')[0]}"


def _try(judge: Judge, data: bytes) -> str:
    started = clock.now()
    try:
        judge(data)
    except Exception:  # noqa: BLE001  any exception is a finding
        return traceback.format_exc()
    return "it took longer than 5 s" if clock.now() - started > SLOW else ""

"""A target, and the loop that tries it. Chance comes from a seed, so that a run can be made again."""

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
MOST_FINDINGS = 20  # after which a target is given up

Judge = Callable[[bytes], None]
"""Tries one input. Raises when what came of it is not promised."""
Mutate = Callable[[Random, list[bytes]], bytes]
"""New input from the seeds."""


@dataclass(frozen=True)
class Target:
    """Something that takes input from others. `open` gives its judge; leaving that checks what can only be checked
    in the end, and raises AssertionError."""

    name: str
    seeds: Callable[[], list[bytes]]
    mutate: Mutate
    open: Callable[[], AbstractContextManager[Judge]]


@dataclass
class Outcome:
    """What came of one target. `findings`: the input and what was raised."""

    name: str
    inputs: int = 0
    spent: int = 0  # ns
    findings: list[tuple[bytes, str]] = field(default_factory=list)


def plain(judge: Judge) -> Callable[[], AbstractContextManager[Judge]]:
    """For a target that needs nothing to be opened or closed."""

    @contextmanager
    def opened() -> Iterator[Judge]:
        yield judge

    return opened


def cases(target: Target) -> list[Path]:
    """The kept input of a target."""
    return sorted(path for path in (CASES / target.name).glob("*") if path.is_file())


def replay(target: Target) -> None:
    """Try all that is kept; raises what the first one raises."""
    with target.open() as judge:
        for path in cases(target):
            judge(path.read_bytes())


def run(target: Target, seed: int, count: int | None = None, length: int | None = None) -> Outcome:
    """Try `count` inputs, or for `length` ns. The seeds come first, as they are."""
    outcome, random, begun = Outcome(target.name), Random(f"{target.name} {seed}"), clock.now()
    seeds = target.seeds() + [path.read_bytes() for path in cases(target)]
    known: set[str] = set()
    try:
        with target.open() as judge:
            while count is None or outcome.inputs < count:
                if length is not None and clock.now() - begun > length:
                    break
                data = seeds[outcome.inputs] if outcome.inputs < len(seeds) else target.mutate(random, seeds)
                outcome.inputs += 1
                said = _try(judge, data)
                if said and _kind(said) not in known:
                    known.add(_kind(said))
                    outcome.findings.append((data, said))
                    if len(outcome.findings) == MOST_FINDINGS:
                        break
    except AssertionError as error:
        outcome.findings.append((b"", f"in the end: {error}"))
    outcome.spent = clock.now() - begun
    return outcome


def keep(name: str, data: bytes) -> Path:
    """Write a finding down as a case."""
    path = CASES / name / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _kind(said: str) -> str:
    """What makes two findings the same: the innermost line of chaoskit in it, and the exception's type."""
    lines = said.splitlines()
    ours = [line for line in lines if "/chaoskit/" in line] or lines
    return f"{ours[-1]} {lines[-1].partition(':')[0]}"


def _try(judge: Judge, data: bytes) -> str:
    begun = clock.now()
    try:
        judge(data)
    except Exception:  # noqa: BLE001  whatever it is, it is a finding
        return traceback.format_exc()
    return "it took longer than 5 s" if clock.now() - begun > SLOW else ""

"""The variants of a matrix are told in its order, whichever ends first, and none begins after what ends a series."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chaoskit.conduct.file_check import check
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.execution.options import RunOptions
from chaoskit.execution.series import PlannedVariant, Series
from chaoskit.spec.matrix import load_variants
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.workers.cell import Cell, EndedCell

FILE = """\
name: delays
question: Which?
stage: {lab: edge}
workload: {request-rate: 10/s}
faults:
  slow: {link: client-router, direction: down, netem: {delay: 30ms}}
timeline: [{baseline: 10s}, {slow: 20s}]
matrix:
  faults.slow.netem.delay: [10ms, 20ms, 30ms]
"""
NAMES = ["delay=10ms", "delay=20ms", "delay=30ms"]


@dataclass
class Backwards:
    """Workers whose cells end in the reverse order of their begin, when no further one may begin, with these codes."""

    slots: int
    codes: dict[str, int] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    under_way: list[Cell] = field(default_factory=list)

    def start(self, cell: Cell) -> None:
        """It begins."""
        self.started.append(cell.name)
        self.under_way.append(cell)

    def ended(self, _timeout: int) -> Sequence[EndedCell]:
        """The last that began."""
        cell = self.under_way.pop()
        return [EndedCell(cell, Path(cell.name), self.codes.get(cell.name, 3), f"no {cell.name}", "", 1.0)]

    def running(self) -> dict[str, int]:
        """Those that began."""
        return dict.fromkeys((cell.name for cell in self.under_way), 0)

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Nothing runs that could be."""

    def stop(self, why: str) -> None:
        """As above."""

    def close(self) -> None:
        """As above."""


def series(folder: Path, workers: Backwards) -> Series:
    """One of the three variants."""
    file = folder / "delays.yaml"
    file.write_text(FILE)
    variants = load_variants(file)
    plans = check([each.experiment for each in variants.each]).plans
    planned = [
        PlannedVariant(variant, Cell(variant.name, file, text=FILE), plan)
        for variant, plan in zip(variants.each, plans, strict=True)
    ]
    options = RunOptions(SubstrateOptions(), folder, is_named=True, is_verified=False, provenance="{}")
    return Series(planned, options, folder, workers, InterruptHandler())


def test_rows_come_in_the_order_of_the_matrix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last ends first; each says why it has no result, and its exit code counts."""
    rows, codes = series(tmp_path, Backwards(2, {NAMES[1]: 70})).run()

    told = [line.split()[1:] for line in capsys.readouterr().err.splitlines() if "NOT RUN" in line]
    assert told == [[name, "NOT", "RUN", "no", name] for name in NAMES]
    assert [row.name for row in rows] == NAMES
    assert codes == {3, 70}


def test_none_begins_after_one_that_was_not_restored(tmp_path: Path) -> None:
    """What runs is awaited, the rest has no row of its own."""
    workers = Backwards(1, {NAMES[1]: 4})

    rows, codes = series(tmp_path, workers).run()

    assert workers.started == NAMES[:2]
    assert [row.error for row in rows] == ["no delay=10ms", "no delay=20ms", ""]
    assert codes == {3, 4}


def test_none_begins_when_the_file_is_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Variants of two files would stand side by side."""
    workers = Backwards(1)
    made = series(tmp_path, workers)
    (tmp_path / "delays.yaml").write_text(f"{FILE}seed: 7\n")

    made.run()

    assert workers.started == []
    assert "is another now: the variants from delay=10ms on are not run" in capsys.readouterr().err

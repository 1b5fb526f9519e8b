"""Workers run cells side by side, and tell how each has ended, whatever it does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.spec.overrides import parse_settings
from chaoskit.workers.cell import Cell, EndedCell
from chaoskit.workers.launch import ColdStart, Launch
from chaoskit.workers.local import LocalWorkers

NS = 10**9
PROGRAMS = {
    "code": "sys.exit(int(words[2].partition('=')[2]))",
    "processor": "print('chaoskit:', *os.sched_getaffinity(0), file=sys.stderr)",
    "slow": "signal.signal(signal.SIGINT, lambda *_: sys.exit(130)); out.mkdir(); time.sleep(60)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


def fake_run(launch: Launch) -> tuple[str, ...]:
    """A program that does what the experiment's name says."""
    values = f"words, out = {launch.words!r}, pathlib.Path({str(launch.out)!r})\n"
    program = f"import os, pathlib, signal, sys, time\n{values}"
    return (sys.executable, "-c", program + PROGRAMS[Path(launch.words[0]).stem])


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Callable[[int], LocalWorkers]]:
    """Workers with so many slots, whose runs are fake."""
    lock = os.memfd_create("lock")
    made: list[LocalWorkers] = []

    def make(slots: int) -> LocalWorkers:
        made.append(LocalWorkers(tmp_path, slots, lock, RealClock(), ColdStart(fake_run)))
        return made[-1]

    yield make
    for each in made:
        each.close()
    os.close(lock)


def all_ended(workers: LocalWorkers) -> list[EndedCell]:
    """Those that run, when they have ended."""
    found: list[EndedCell] = []
    while workers.running():
        found += workers.ended(NS)
    return found


def test_every_end_is_an_exit_code(workers: Callable[[int], LocalWorkers], tmp_path: Path) -> None:
    """Whichever it is, a signal too; and the directory is that of the cell's name."""
    pool = workers(3)

    for name, file, values in (("a", "code", {"code": 5}), ("b", "code", {"code": 70}), ("c", "killed", {})):
        pool.start(Cell(name, Path(file), values))

    assert sorted((each.cell.name, each.code) for each in all_ended(pool)) == [("a", 5), ("b", 70), ("c", 137)]
    assert pool.ended(0) == []


def test_a_cell_has_a_processor_of_its_own(workers: Callable[[int], LocalWorkers]) -> None:
    """The slots share them evenly; one that is alone has all."""
    pool, processors = workers(2), sorted(os.sched_getaffinity(0))

    for number in range(2):
        pool.start(Cell(f"cell-{number}", Path("processor")))
    with pytest.raises(ValueError, match="one too many"):
        pool.start(Cell("third", Path("processor")))
    pinned = {each.cell.name: each.complaint for each in all_ended(pool)}
    pool.start(Cell("alone", Path("processor"), is_alone=True))

    assert pinned == {f"cell-{number}": str(processors[number % len(processors)]) for number in range(2)}
    assert [each.complaint for each in all_ended(pool)] == [" ".join(map(str, processors))]


def test_what_is_stopped_says_why(workers: Callable[[int], LocalWorkers], tmp_path: Path) -> None:
    """It is interrupted, as by Ctrl-C; `close` does the same and waits."""
    pool = workers(1)
    pool.start(Cell("long", Path("slow")))
    while not (tmp_path / "long").exists():
        assert pool.ended(NS // 100) == []

    pool.stop("enough")

    assert [(each.code, each.why) for each in all_ended(pool)] == [(130, "enough")]
    pool.start(Cell("longer", Path("slow")))
    pool.close()
    assert not pool.running()


def test_a_signal_reaches_all(workers: Callable[[int], LocalWorkers]) -> None:
    """Each ends by it."""
    pool = workers(2)
    pool.start(Cell("one", Path("slow")))
    pool.start(Cell("two", Path("slow")))

    pool.interrupt(signal.SIGTERM)

    assert {each.code for each in all_ended(pool)} == {143}


def test_a_cell_is_a_command_line_of_run() -> None:
    """With every value by its path, the seed too, as `--set` reads it."""
    values = {"faults.wifi.netem.loss": "1%", "timeline": [{"a": "2s"}]}
    cell = Cell("a", Path("x.yaml"), values, 7, ("--clock", "auto"))

    words = cell.words

    assert words[0] == "x.yaml"
    assert words[-2:] == ("--clock", "auto")
    assert parse_settings(words[2:-2:2]) == values | {"seed": "7"}

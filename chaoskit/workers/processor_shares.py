"""Shares the processors of a machine among its workers: no two of their guests are on one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerProcess:
    """A worker: its own name, the machine's boot ID, the processors that it may use, and how many cells it runs."""

    name: str
    boot: str
    processors: tuple[int, ...]
    cells: int


def shares(workers: Sequence[WorkerProcess]) -> dict[str, tuple[int, ...]]:
    """By the name of each worker, a processor for each of its cells; none where a machine runs one cell only.

    Where there are more cells than processors, as few as possible share one.
    """
    of_machine: Counter[str] = Counter()
    for worker in workers:
        of_machine[worker.boot] += worker.cells
    taken: Counter[tuple[str, int]] = Counter()
    found = {}
    for worker in workers:
        chosen = []
        for _ in range(worker.cells if of_machine[worker.boot] > 1 else 0):
            chosen.append(min(worker.processors, key=lambda each: (taken[worker.boot, each], each)))
            taken[worker.boot, chosen[-1]] += 1
        found[worker.name] = tuple(chosen)
    return found

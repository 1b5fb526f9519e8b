"""The workers on a machine share its processors."""

from __future__ import annotations

from chaoskit.workers.processor_shares import WorkerProcess, shares


def test_no_two_cells_of_a_machine_are_on_one_processor() -> None:
    """Those on another machine have its own, and a machine with a single cell leaves it free."""
    workers = [
        WorkerProcess("a", "one", (0, 1, 2, 3), 1),
        WorkerProcess("b", "one", (0, 1, 2, 3), 2),
        WorkerProcess("c", "two", (0, 1), 1),
        WorkerProcess("d", "three", (4, 5), 2),
    ]

    assert shares(workers) == {"a": (0,), "b": (1, 2), "c": (), "d": (4, 5)}


def test_as_few_as_possible_share_one() -> None:
    """Also where a worker may use a part of the processors only."""
    workers = [WorkerProcess("a", "one", (0, 1), 3), WorkerProcess("b", "one", (1,), 1)]

    assert shares(workers) == {"a": (0, 1, 0), "b": (1,)}


def test_a_worker_with_processors_of_its_own_keeps_to_them() -> None:
    """A container may have been given some."""
    workers = [WorkerProcess("a", "one", (2,), 1), WorkerProcess("b", "one", (0, 2), 1)]

    assert shares(workers) == {"a": (2,), "b": (0,)}

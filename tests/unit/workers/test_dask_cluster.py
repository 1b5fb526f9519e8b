"""Cells on a cluster that is lost end in a sentence, and no other begins.

In a process of its own: Dask replaces parts of the standard library as it is imported.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from chaoskit.errors import RefusedError

PROGRAM = """\
import sys
from concurrent.futures import CancelledError
from pathlib import Path

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.workers.cell import Cell
from chaoskit.workers.dask_cluster import Cluster, DaskWorkers
from chaoskit.workers.dask_task import CellOutcome, Machine

class Future:
    def __init__(self, client, outcome=None):
        self.client, self.outcome = client, outcome
    def done(self):
        return self.outcome is not None or self.client.status != "running"
    def result(self, timeout):
        if self.outcome is None:
            raise CancelledError
        return self.outcome
    def release(self):
        pass

class Client:
    status = "running"
    def nthreads(self):
        if self.status != "running":
            raise OSError("closed")
        return {"tcp://worker": 2}
    def submit(self, function, task, **_):
        return Future(self, CellOutcome(0, "", 1.0, b"") if task.name == "first" else None)
    def run(self, *_, **__):
        return {}
    def close(self):
        pass

file, client = Path(sys.argv[1]), Client()
workers = DaskWorkers(Cluster("tcp://host:1", client, None, Machine("1", "2")), file.parent, RealClock())
print(workers.slots)
for name in ("first", "second"):
    workers.start(Cell(name, file))
client.status = "connecting"
for end in workers.ended(10**9):
    print(end.cell.name, end.code, end.complaint)
print(workers.slots, list(workers.running()))
try:
    workers.start(Cell("third", file))
except RefusedError as error:
    print(error)
workers.close()
"""


def test_a_scheduler_that_is_lost_loses_what_runs_and_begins_nothing(tmp_path: Path) -> None:
    """What had ended by then counts; the rest is told what to type."""
    file = tmp_path / "small.yaml"
    file.write_text("name: small\n")

    done = subprocess.run([sys.executable, "-c", PROGRAM, str(file)], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    lost = "the connection to the Dask scheduler tcp://host:1 was lost"
    assert done.stdout.splitlines() == [
        "2",
        "first 0 ",
        f"second {RefusedError.exit_code} {lost}",
        "1 []",
        f"{lost}: start it and its workers again",
    ]

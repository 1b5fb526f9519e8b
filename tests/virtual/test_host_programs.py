"""Programs of hosts in virtual time: a wait costs nothing, and what a program computes takes none of its time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

PROGRAM = Path(__file__).parent / "hosts_in_virtual_time.py"
SECOND = 10**9


def test_readiness_in_virtual_time(kernel: uml.GuestKernel, tmp_path: Path) -> None:
    """Slow imports need no patience, a slow start needs its own time, and thirty seconds in vain pass at once."""
    begin = RealClock().now()
    guest = uml.Uml(kernel, virtual=True).timed(1)
    words = (sys.executable, str(PROGRAM), str(tmp_path / "answer.json"))
    running = guest.launch(Command(words, tmp_path, Duration.parse("120s")), RealClock())

    assert running.finish() == 0, running.log.read_text()
    found = json.loads((tmp_path / "answer.json").read_text())
    took = {name: time for name, (time, _) in found.items()}
    assert found["slow-imports"][1] == ""
    assert took["slow-imports"] < SECOND // 2
    assert found["slow-start"][1] == ""
    assert 20 * SECOND <= took["slow-start"] < 21 * SECOND
    assert "was not ready within 30 s" in found["never"][1]
    assert 30 * SECOND <= took["never"] < 31 * SECOND
    assert RealClock().now() - begin < 120 * SECOND

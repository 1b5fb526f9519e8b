"""A guest in virtual time that makes no progress in real time is ended, and what it wrote is kept."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.substrate.running import Command
from chaoskit.substrate.uml import GuestKernel, Uml, virtual_time
from chaoskit.units import Duration

BUSY = "open('{place}/written', 'w').write('kept')\nwhile True: pass"


def test_a_busy_loop_is_noticed_and_ended(kernel: GuestKernel, tmp_path: Path) -> None:
    """Its clock stands still, so only the host can tell: the reason is said, nothing of the guest is left."""
    substrate = replace(Uml(kernel, virtual=True), options=virtual_time(1))
    words = (sys.executable, "-c", BUSY.format(place=tmp_path))

    guest = substrate.launch(Command(words, tmp_path, Duration.parse("5s")), RealClock())

    with pytest.raises(RefusedError, match="wrote nothing for 5s"):
        guest.finish()
    assert (tmp_path / "written").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"written", "guest.log"}

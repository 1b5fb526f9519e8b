"""What happens at one moment of virtual time has one order, and nothing that was done before decides when that is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

PROGRAM = Path(__file__).parent / "order_in_virtual_time.py"
MS = 10**6


@pytest.fixture(scope="module")
def told(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one guest says."""
    place = tmp_path_factory.mktemp("order")
    command = Command((sys.executable, str(PROGRAM), str(place / "answer.json")), place, Duration.parse("60s"))
    guest = uml.Uml(kernel, options=uml.virtual_time(2)).launch(command, RealClock())
    assert guest.finish() == 0, guest.log.read_text()
    answer: dict[str, Any] = json.loads((place / "answer.json").read_text())
    return answer


def test_what_conducts_is_first_and_the_rest_as_they_began_to_wait(told: dict[str, Any]) -> None:
    """However much each has computed before."""
    assert told["orders"] == ["Cdbca"] * 3


def test_a_busy_program_holds_nobody_up_for_long(told: dict[str, Any]) -> None:
    """What conducts not at all; others for a turn of it, 10 ms, and what remains of it."""
    assert told["late"]["ahead"] < MS // 5
    assert 5 * MS < told["late"]["in turn"] < 21 * MS


def test_how_many_timers_there_were_decides_nothing(told: dict[str, Any]) -> None:
    """No time passes between two ticks of the clock, so that none is left over from them."""
    assert len(told["sleeps"]) == 5
    assert len({tuple(each) for each in told["sleeps"]}) == 1

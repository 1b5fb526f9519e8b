"""Tests `chaoskit status` as a user runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import warm

from chaoskit.engine.lease import Lease, Leases, Location

LEASE = Lease(
    id="20261124T120730-4711",
    command="chaoskit inject --to 10.0.0.2:443",
    user="alice",
    interface="eth0",
    since="2026-11-24T12:07:30.000+00:00",
    until="2026-11-24T12:08:30.000+00:00",
    deadline=1,
    injection={"to": ["10.0.0.2:443"], "up": "delay 80ms", "for": "60s"},
    machine="another one",
    boot="",
    namespace="",
)


def status(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What it says and with which exit code, of the leases under `state`."""
    return warm.chaoskit("status", *words, environment={"CHAOSKIT_STATE": str(state), "COLUMNS": "100"})


def test_a_lease_is_shown_for_people_and_for_programs(tmp_path: Path) -> None:
    """The same lease in words and in JSON, both with exit code 0."""
    Leases(tmp_path).begin(LEASE)

    shown, told = status(tmp_path), status(tmp_path, "--json", LEASE.id)

    assert (shown.returncode, told.returncode) == (0, 0)
    assert "FROM ANOTHER MACHINE  on eth0  lease 20261124T120730-4711" in shown.stdout
    assert "delay 80ms" in shown.stdout
    assert json.loads(told.stdout)["leases"][0]["injection"]["for"] == "60s"


def test_a_lease_that_is_not_there_is_a_wrong_word(tmp_path: Path) -> None:
    """Exit code 2 and one sentence, as of restore."""
    answer = status(tmp_path, "nobody")

    assert answer.returncode == 2
    assert answer.stderr == "chaoskit: there is no lease nobody: chaoskit status shows all\n"


def test_looking_leaves_no_trace(tmp_path: Path) -> None:
    """Status makes no folder, not even that of the state."""
    place = tmp_path / "not-there"

    assert status(place).returncode == 0
    assert not place.exists()
    assert Location.current().machine is not None

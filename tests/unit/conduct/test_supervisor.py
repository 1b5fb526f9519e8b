"""The supervisor of an exec, apart from any namespace."""

from __future__ import annotations

import pytest

from chaoskit.conduct.supervisor import Supervisor
from chaoskit.errors import CrashError


def test_it_ends_with_its_conductor() -> None:
    """Nothing to put back: nothing is raised."""
    with Supervisor() as supervisor:
        assert supervisor.process.state


def test_a_crash_of_the_supervisor_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """One that a mistake ends, here over a message that no conductor sends: exit code 70, and a report."""
    with pytest.raises(CrashError, match="the supervisor process crashed"), Supervisor() as supervisor:
        supervisor._channel.send(b"no JSON")

    assert "this is a mistake in chaoskit itself: JSONDecodeError" in capfd.readouterr().err

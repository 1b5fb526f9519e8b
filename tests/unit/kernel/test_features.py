"""Tests that kernel features are detected in a child process."""

from __future__ import annotations

import pytest

from chaoskit.errors import CrashError
from chaoskit.kernel.features import _in_child


def test_a_bug_in_the_child_is_reported_as_a_bug(capfd: pytest.CaptureFixture[str]) -> None:
    """It is not reported as a missing feature of the kernel."""

    def mistaken() -> dict[str, str]:
        raise ZeroDivisionError("one by none")

    with pytest.raises(CrashError, match="a mistake in chaoskit ended the feature detection"):
        _in_child(mistaken)

    assert "this is a mistake in chaoskit itself: ZeroDivisionError: one by none" in capfd.readouterr().err

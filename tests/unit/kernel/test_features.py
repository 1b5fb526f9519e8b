"""What a kernel can do is asked by a process of its own."""

from __future__ import annotations

import pytest

from chaoskit.errors import CrashError
from chaoskit.kernel.features import _ask


def test_a_mistake_of_ours_is_told_as_one(capfd: pytest.CaptureFixture[str]) -> None:
    """It is no shortcoming of the kernel."""

    def mistaken() -> dict[str, str]:
        raise ZeroDivisionError("one by none")

    with pytest.raises(CrashError, match="a mistake in chaoskit ended the survey"):
        _ask(mistaken)

    assert "this is a mistake in chaoskit itself: ZeroDivisionError: one by none" in capfd.readouterr().err

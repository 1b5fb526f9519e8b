"""Tests that kernel features are detected in a child process."""

from __future__ import annotations

import pytest

from chaoskit.errors import CrashError
from chaoskit.kernel.features import FEATURES, _in_child, _untried_facts


def test_a_bug_in_the_child_is_reported_as_a_bug(capfd: pytest.CaptureFixture[str]) -> None:
    """It is not reported as a missing feature of the kernel."""

    def mistaken() -> dict[str, str]:
        raise ZeroDivisionError("one by none")

    with pytest.raises(CrashError, match="a mistake in chaoskit ended the feature detection"):
        _in_child(mistaken)

    assert "this is a mistake in chaoskit itself: ZeroDivisionError: one by none" in capfd.readouterr().err


@pytest.mark.parametrize(("release", "has_seeds"), [("6.12.117+deb13", True), ("6.6", True), ("5.14.0-570.el9", False)])
def test_what_cannot_be_tried_is_taken_as_there(release: str, has_seeds: bool) -> None:
    """With NET_ADMIN alone: all that a fault of an interface needs, seeds by the kernel's age, and nothing of labs."""
    facts = _untried_facts(release, dict.fromkeys(FEATURES, "Operation not permitted"))

    assert facts.lacks(frozenset({"netem", "ifb", "clsact", "flower", "clamp", "connections", "quota"})) == []
    assert facts.missing.keys() - {"netem-seed"} == {"namespaces", "veth", "pids-cgroup"}
    assert ("netem-seed" in facts.features) is has_seeds
    assert facts.features == facts.untried

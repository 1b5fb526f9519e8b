"""`chaoskit doctor` says each reason once, with what depends on it and what to type."""

from __future__ import annotations

from chaoskit.facts import Facts
from chaoskit.kernel.features import FEATURES
from chaoskit.substrate.doctor import Finding, features
from chaoskit.substrate.findings import NEEDED_FOR, lines

NO_NETEM = "netem is not in this kernel (Specified qdisc kind is unknown): sudo modprobe -a sch_netem"


def test_every_feature_says_what_needs_it() -> None:
    """No feature is missing without a consequence."""
    assert set(NEEDED_FOR) == set(FEATURES)


def test_what_has_one_reason_is_one_entry() -> None:
    """Whatever the kernel's own words in parentheses are."""
    missing = {
        "netem": NO_NETEM,
        "netem-seed": NO_NETEM,
        "drop": "police or gact is not in this kernel (a): sudo modprobe -a act_police act_gact",
        "police": "police or gact is not in this kernel (b): sudo modprobe -a act_police act_gact",
    }
    facts = Facts("6.1", True, True, frozenset(FEATURES) - missing.keys(), missing)

    shown = list(lines(features(facts)))

    at = shown.index("  no   netem, netem-seed: netem is not in this kernel (Specified qdisc kind is unknown)")
    assert shown[at + 1 : at + 3] == [
        "       needed for: delay, loss, rate and whatever else netem does; the same losses from the same seed",
        "       type: sudo modprobe -a sch_netem",
    ]
    assert sum(line.startswith("  no ") for line in shown) == 2
    assert sum(line.startswith("  yes") for line in shown) == len(FEATURES) - 4 + 1


def test_other_findings_are_kept_as_they_are() -> None:
    """In their order, with further lines below them."""
    found = [
        Finding("python", True, "3.11"),
        Finding("guest", False, "a guest failed: why\nmore"),
        Finding("veth", True, ""),
    ]

    assert list(lines(found)) == [
        "  yes  python: 3.11",
        "  no   guest: a guest failed: why",
        "       more",
        "  yes  veth",
    ]

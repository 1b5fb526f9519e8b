"""Tests the findings of the doctor: one for each feature, with a remedy if it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.substrate import uml
from chaoskit.substrate.doctor import Finding, features, protection, python, rights, survey_guest
from chaoskit.units import Size

REFUSED = "no user namespace for us: run as root, or --substrate uml"


def test_every_feature_has_a_finding() -> None:
    """The kernel comes first, then each feature with its yes, or its no and the kernel's answer."""
    facts = Facts(kernel="6.8.0", features=frozenset({"veth"}), missing={"netem": "sudo modprobe -a sch_netem"})

    told = {each.name: each for each in features(facts)}

    assert list(told) == [
        "kernel",
        "namespaces",
        "veth",
        "netem",
        "netem-seed",
        "ifb",
        "clsact",
        "matchall",
        "flower",
        "u32",
        "drop",
        "police",
        "clamp",
        "connections",
        "quota",
        "pids-cgroup",
    ]
    assert told["kernel"].detail == "6.8.0"
    assert told["veth"] == Finding("veth", True, "")
    assert told["netem"] == Finding("netem", False, "sudo modprobe -a sch_netem")


@pytest.mark.parametrize(
    ("facts", "is_able", "detail"),
    [
        (Facts(root=True, user_namespaces=True), True, "as root"),
        (Facts(user_namespaces=True), True, "user namespace"),
        (Facts(untried=frozenset({"netem"})), True, "may change interfaces"),
        (Facts(missing={"namespaces": REFUSED}), False, REFUSED),
    ],
)
def test_rights(facts: Facts, is_able: bool, detail: str) -> None:
    """Root and an unprivileged user who may make namespaces can both experiment; else it is said what to do."""
    finding = rights(facts)

    assert finding.is_able is is_able
    assert detail in finding.detail


def test_protection() -> None:
    """What root in a guest cannot do is told, and what he can where a guest cannot be confined, with what to type."""
    for user, left in ((0, "may read all users' files, as root, and nothing more"), (1000, "has no capability")):
        files, own = protection("", user)
        assert (files.is_able, own.is_able) == (True, True)
        assert left in own.detail

    unguarded = protection("unshare: No space left on device; sudo sysctl -w user.max_user_namespaces=10000", 1000)

    assert not any(each.is_able for each in unguarded)
    assert unguarded[0].detail.endswith("sudo sysctl -w user.max_user_namespaces=10000")
    assert "can write what user 1000 can write here" in unguarded[0].detail


@pytest.mark.parametrize(("version", "is_able"), [((3, 9, 2), False), ((3, 11, 0), True), ((3, 14, 1), True)])
def test_python(version: tuple[int, ...], is_able: bool) -> None:
    """Python before 3.11 is told with what to install."""
    finding = python(version)

    assert finding.is_able is is_able
    assert ("apt-get install" in finding.detail) is not is_able


FAILING = """\
#!/bin/sh
case $1 in
--showconfig) echo CONFIG_UML=y; exit;;
--version) echo 6.12.0; exit;;
esac
for scratch; do :; done
printf 'Kernel panic: \\377\\376 no init\\n'
touch "$scratch/ready"
printf '1   ' > "$scratch/exit"
"""


def test_a_guest_log_that_is_not_utf8(tmp_path: Path) -> None:
    """A guest that fails and logs bytes that are not UTF-8 is a refusal that shows its log."""
    kernel = tmp_path / "kernel"
    kernel.write_text(FAILING)
    kernel.chmod(0o755)

    with pytest.raises(RefusedError, match=r"the survey in it failed(.|\n)*Kernel panic: \uFFFD+ no init"):
        survey_guest(uml.Uml(uml.find(kernel), memory=Size.parse("1MiB")), RealClock())

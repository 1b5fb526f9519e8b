"""Examines what this machine and a guest kernel can do, by trying each feature.

Run as a module, it writes the facts of its kernel to a file; a guest is surveyed that way.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from chaoskit import programs
from chaoskit.clock import Clock
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.features import FEATURES, detect_features
from chaoskit.substrate import confinement, kernel_program, uml
from chaoskit.substrate.running import Command, log_tail
from chaoskit.units import Duration

_SETS = ("features", "untried")  # of Facts, which are lists in JSON
LAB_FEATURES = frozenset({"namespaces", "veth", "netem"})  # the minimum for a fault in a lab
BOOT_LIMIT = Duration.parse("60s")


@dataclass(frozen=True)
class Finding:
    """The result of one check. If it failed, `detail` ends with what to type."""

    name: str
    is_able: bool
    detail: str


@dataclass(frozen=True)
class Diagnosis:
    """Findings about this kernel, about a guest, and about the protection of this machine from a guest.

    `here_can` and `guest_can`: whether a lab's faults can run in each.
    """

    here: tuple[Finding, ...]
    guest: tuple[Finding, ...]
    protection: tuple[Finding, ...]
    here_can: bool
    guest_can: bool


def examine(kernel: Path | None, clock: Clock) -> Diagnosis:
    """Run all checks, which takes as long as a guest's boot. A failed check is a finding, not an error."""
    facts = detect_features()
    findings, inside = _try_guest(kernel, clock)
    return Diagnosis(
        here=(python(sys.version_info[:3]), _processors(), rights(facts), *features(facts)),
        guest=tuple(findings),
        protection=protection(confinement.obstacle(), os.geteuid()),
        here_can=not facts.lacks(LAB_FEATURES),
        guest_can=not inside.lacks(LAB_FEATURES),
    )


def _try_guest(kernel: Path | None, clock: Clock) -> tuple[list[Finding], Facts]:
    """Boot and survey a guest; the last finding is what failed."""
    findings = [_own_kernel()]
    try:
        guest = uml.Uml(uml.find(kernel))
        findings += [_program(guest.kernel), _memory(guest)]
        begun = clock.now()
        facts = survey_guest(guest, clock)
        findings += [Finding("boots", True, f"boot, survey and power-off in {(clock.now() - begun) / 1e9:.1f} s")]
    except RefusedError as error:
        return [*findings, Finding("guest", False, str(error))], Facts()
    return [*findings, *features(facts)], facts


def survey_guest(guest: uml.Uml, clock: Clock) -> Facts:
    """What a guest's kernel can do, by its own survey. Raises RefusedError if it does not boot."""
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        answer = Path(folder, "facts.json")
        words = programs.python_in_guest(__name__, str(answer))
        running = guest.launch(Command(words, Path(folder), BOOT_LIMIT), clock)
        if running.finish() != 0:
            raise RefusedError(f"the guest boots, but the survey in it failed; it logged:{log_tail(running.log)}")
        said = json.loads(answer.read_text())
    return Facts(**said | {name: frozenset(said[name]) for name in _SETS})


def features(facts: Facts) -> list[Finding]:
    """A finding for the kernel, and one for each of its features."""
    return [
        Finding("kernel", True, facts.kernel),
        *(Finding(feature, feature in facts.features, _detail(facts, feature)) for feature in FEATURES),
    ]


def _detail(facts: Facts, feature: str) -> str:
    if feature in facts.untried:
        return "not tried, because no network namespace can be created"
    return facts.missing.get(feature, "")


def rights(facts: Facts) -> Finding:
    """Whether network namespaces may be created, and how."""
    if facts.root:
        return Finding("rights", True, "may create network namespaces as root")
    if facts.user_namespaces:
        return Finding("rights", True, "may create network namespaces inside a user namespace, without root")
    if facts.untried:
        return Finding("rights", True, "may change interfaces (NET_ADMIN), and create no network namespaces")
    return Finding("rights", False, facts.missing.get("namespaces", "run as root, or --substrate uml"))


def python(version: tuple[int, ...]) -> Finding:
    """Whether this Python is new enough; `version` is major, minor, micro."""
    remedy = "" if version >= (3, 11) else ": chaoskit needs 3.11 or later; sudo apt-get install python3.11"
    return Finding("python", version >= (3, 11), ".".join(map(str, version)) + remedy)


def protection(obstacle: str, user: int) -> tuple[Finding, ...]:
    """What root in a guest cannot do to this machine; `obstacle` is why a guest cannot be confined, or ""."""
    if obstacle:
        return (
            Finding("host's files", False, f"root in a guest can write what user {user} can write here: {obstacle}"),
            Finding("rights", False, f"a guest's kernel runs with all rights of user {user}"),
        )
    left = "may read all users' files, as root, and nothing more" if user == 0 else "has no capability"
    return (
        Finding("host's files", True, "read-only for root in a guest too, except the run's own folder"),
        Finding("rights", True, f"a guest's kernel {left}, and gains none by executing programs"),
    )


def _processors() -> Finding:
    usable = len(os.sched_getaffinity(0))
    return Finding("processors", True, f"{usable}, {platform.machine()}; a guest uses one of them")


def _own_kernel() -> Finding:
    """Whether there is a kernel of chaoskit's, built here or packaged; only such a kernel supports virtual time."""
    try:
        own = kernel_program.own_kernel()
        found = f"{own.path}, {own.origin}" if own else kernel_program.own_absence()
    except RefusedError as error:
        return Finding("own kernel", False, str(error))
    return Finding("own kernel", own is not None, found)


def _program(kernel: uml.GuestKernel) -> Finding:
    modules = f"modules in {kernel.modules}" if kernel.modules else "no modules"
    return Finding("program", True, f"{kernel.path}, User-Mode Linux {kernel.release}, {modules}")


def _memory(guest: uml.Uml) -> Finding:
    place = guest.memory_folder() if confinement.obstacle() else "its own tmpfs"
    return Finding("memory", True, f"{guest.memory // 2**20} MiB for a guest, in {place}")


if __name__ == "__main__":
    found = detect_features()
    Path(sys.argv[1]).write_text(json.dumps(asdict(found) | {name: sorted(getattr(found, name)) for name in _SETS}))

"""What this machine can and cannot do, each found out by doing it; a guest is booted and asked the same.

Run as a module it writes the facts of the kernel that it runs in to a file; that is how a guest is asked.
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
from chaoskit.kernel.features import FEATURES, survey
from chaoskit.substrate import confinement, kernel_cache, uml
from chaoskit.substrate.running import Command, last_words
from chaoskit.units import Duration

LAB = frozenset({"namespaces", "veth", "netem"})  # the least that a fault in a lab needs
PATIENCE = Duration.parse("60s")


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. When it cannot be done, `says` ends with what to type."""

    name: str
    is_able: bool
    says: str


@dataclass(frozen=True)
class Diagnosis:
    """What was found about this kernel, about a guest, and about what keeps a guest from this machine's files.

    `here_can` and `guest_can` tell whether a lab's faults can run in each.
    """

    here: tuple[Finding, ...]
    guest: tuple[Finding, ...]
    guards: tuple[Finding, ...]
    here_can: bool
    guest_can: bool


def examine(kernel: Path | None, clock: Clock) -> Diagnosis:
    """Try everything; takes as long as a guest needs to boot. What cannot be done is a finding, not an error."""
    facts = survey()
    findings, inside = _try_guest(kernel, clock)
    return Diagnosis(
        here=(python(sys.version_info[:3]), _processors(), rights(facts), *features(facts)),
        guest=tuple(findings),
        guards=guards(confinement.hindrance(), os.geteuid()),
        here_can=not facts.lacks(LAB),
        guest_can=not inside.lacks(LAB),
    )


def _try_guest(kernel: Path | None, clock: Clock) -> tuple[list[Finding], Facts]:
    """Go as far as possible towards a guest's own facts; what stopped us is the last finding."""
    findings = [_own(kernel_cache.cache())]
    try:
        guest = uml.Uml(uml.find(kernel))
        findings += [_program(guest.kernel), _memory(guest)]
        begun = clock.now()
        facts = ask(guest, clock)
        findings += [Finding("boots", True, f"on, asked and off again in {(clock.now() - begun) / 1e9:.1f} s")]
    except RefusedError as error:
        return [*findings, Finding("guest", False, str(error))], Facts()
    return [*findings, *features(facts)], facts


def ask(guest: uml.Uml, clock: Clock) -> Facts:
    """What a guest's kernel can do, by its own survey. Raises RefusedError when it does not boot."""
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        answer = Path(folder, "facts.json")
        words = programs.python_in_guest(__name__, str(answer))
        running = guest.launch(Command(words, Path(folder), PATIENCE), clock)
        if running.finish() != 0:
            raise RefusedError(f"the guest boots but could not be asked; it said:{last_words(running.log)}")
        said = json.loads(answer.read_text())
    return Facts(**said | {"features": frozenset(said["features"])})


def features(facts: Facts) -> list[Finding]:
    """The kernel, and one finding for each of its features."""
    return [
        Finding("kernel", True, facts.kernel),
        *(Finding(feature, feature in facts.features, facts.missing.get(feature, "")) for feature in FEATURES),
    ]


def rights(facts: Facts) -> Finding:
    """Whether we may make network namespaces, and as whom."""
    if facts.root:
        return Finding("rights", True, "may make network namespaces as we are")
    if facts.user_namespaces:
        return Finding("rights", True, "may make network namespaces inside a user namespace, without root")
    return Finding("rights", False, facts.missing.get("namespaces", "run as root, or --substrate uml"))


def python(version: tuple[int, ...]) -> Finding:
    """Whether this Python is new enough; `version` is major, minor, micro."""
    remedy = "" if version >= (3, 11) else ": chaoskit needs 3.11 or later; sudo apt-get install python3.11"
    return Finding("python", version >= (3, 11), ".".join(map(str, version)) + remedy)


def guards(hindrance: str, user: int) -> tuple[Finding, ...]:
    """What root in a guest cannot do to this machine; `hindrance` is why a guest cannot be confined, if it cannot."""
    if hindrance:
        return (
            Finding("host's files", False, f"root in a guest can write what user {user} can write here: {hindrance}"),
            Finding("rights", False, f"a guest's kernel runs with all rights of user {user}"),
        )
    left = "may read others' files, as root, and nothing more" if user == 0 else "has no capability"
    return (
        Finding("host's files", True, "read-only for root in a guest too, except the run's own folder"),
        Finding("rights", True, f"a guest's kernel {left}, and gets none by what it executes"),
    )


def _processors() -> Finding:
    usable = len(os.sched_getaffinity(0))
    return Finding("processors", True, f"{usable}, {platform.machine()}; a guest keeps to one of them")


def _own(place: Path) -> Finding:
    """Whether we have a kernel of our own, which alone knows virtual time."""
    path = kernel_cache.newest(place)
    return Finding("own kernel", path is not None, str(path) if path else kernel_cache.absence(place))


def _program(kernel: uml.GuestKernel) -> Finding:
    modules = f"modules in {kernel.modules}" if kernel.modules else "no modules"
    return Finding("program", True, f"{kernel.path}, User-Mode Linux {kernel.release}, {modules}")


def _memory(guest: uml.Uml) -> Finding:
    place = guest.memory_folder() if confinement.hindrance() else "a tmpfs of its own"
    return Finding("memory", True, f"{guest.memory // 2**20} MiB for a guest, in {place}")


if __name__ == "__main__":
    found = survey()
    Path(sys.argv[1]).write_text(json.dumps(asdict(found) | {"features": sorted(found.features)}))

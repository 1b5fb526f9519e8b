"""Tests the selection of this kernel or a guest in every case."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import RefusedError, SpecError
from chaoskit.facts import Facts
from chaoskit.substrate.here import Here
from chaoskit.substrate.selection import SubstrateOptions, choose, decide, in_brief, on_interface
from chaoskit.substrate.uml import GuestKernel, Uml
from chaoskit.substrate.virtual_time import VIRTUAL

NEEDS = frozenset({"namespaces", "veth", "netem"})
ABLE = Facts(kernel="6.8.0", root=True, features=NEEDS)
UNABLE = Facts(
    kernel="6.8.0",
    features=NEEDS - {"netem"},
    missing={"netem": "netem is not in this kernel: sudo modprobe -a sch_netem, or --substrate uml"},
)
GUEST = GuestKernel(Path("/usr/bin/linux.uml"), "6.1.176", None, NEEDS | {"ifb"})
POOR = GuestKernel(Path("/opt/poor.uml"), "6.1.0", None, NEEDS - {"netem"})
EXACT = GuestKernel(Path("/opt/own.uml"), "6.12.1", None, NEEDS | {VIRTUAL})
NONE = "there is no guest kernel, linux.uml is not on PATH: sudo apt-get install user-mode-linux"


@pytest.mark.parametrize("asked", ["auto", "here"])
@pytest.mark.parametrize("guest", [GUEST, POOR, NONE])
def test_this_kernel_is_preferred_when_it_can(asked: str, guest: GuestKernel | str) -> None:
    """A kernel that has what the plan needs is taken, whatever guests there are, and the sentence names both."""
    substrate, why = decide(NEEDS, SubstrateOptions(asked), ABLE, guest)

    assert substrate == Here()
    assert why == "in this kernel, 6.8.0, which has namespaces, netem, veth"


@pytest.mark.parametrize(("asked", "facts"), [("auto", UNABLE), ("uml", UNABLE), ("uml", ABLE)])
def test_a_guest_is_taken_when_needed_or_asked_for(asked: str, facts: Facts) -> None:
    """A guest runs what this kernel cannot, or what it was asked for; the sentence says which of both."""
    substrate, why = decide(NEEDS, SubstrateOptions(asked), facts, GUEST)

    assert substrate == Uml(GUEST)
    assert why.startswith("in real time, in a guest kernel, User-Mode Linux 6.1.176")
    assert why.endswith("because this kernel lacks netem" if asked == "auto" else "as asked")


@pytest.mark.parametrize(
    ("asked", "facts", "guest", "says"),
    [
        ("here", UNABLE, GUEST, ["6.8.0", "netem", "sudo modprobe -a sch_netem", "--substrate uml"]),
        ("auto", UNABLE, NONE, ["netem", "sudo modprobe -a sch_netem", "sudo apt-get install user-mode-linux"]),
        ("uml", ABLE, NONE, ["sudo apt-get install user-mode-linux"]),
        ("auto", UNABLE, POOR, ["/opt/poor.uml", "netem"]),
        ("uml", ABLE, POOR, ["/opt/poor.uml", "netem"]),
    ],
)
def test_what_cannot_be_done_is_refused(asked: str, facts: Facts, guest: GuestKernel | str, says: list[str]) -> None:
    """A refusal says what is missing, and what to type for each thing that would help."""
    with pytest.raises(RefusedError) as refusal:
        decide(NEEDS, SubstrateOptions(asked), facts, guest)

    assert all(words in str(refusal.value) for words in says), str(refusal.value)


def test_a_reason_is_given_once() -> None:
    """Features that fail for the same reason give one sentence."""
    reason = "no network namespace for us: run as root"
    facts = Facts(missing=dict.fromkeys(NEEDS, reason))

    with pytest.raises(RefusedError) as refusal:
        decide(NEEDS, SubstrateOptions("here"), facts, NONE)

    assert str(refusal.value).count(reason) == 1


def test_a_guest_kernel_and_here_contradict_each_other() -> None:
    """`--substrate here --kernel PATH` is the author's mistake, and both options are named."""
    with pytest.raises(SpecError, match=r"--kernel.*--substrate here"):
        choose(NEEDS, SubstrateOptions("here", Path("/usr/bin/linux.uml")))


@pytest.mark.parametrize("asked", ["auto", "uml"])
@pytest.mark.parametrize(
    ("kernel", "says"), [("/no/such/kernel", "is not a program"), ("/bin/false", "does not answer")]
)
def test_a_kernel_that_is_none(asked: str, kernel: str, says: str) -> None:
    """A named kernel is taken or refused by its name, never replaced by another."""
    with pytest.raises(RefusedError, match=f"{kernel} {says}"):
        choose(NEEDS, SubstrateOptions(asked, Path(kernel)))


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (SubstrateOptions(), ABLE),
        (SubstrateOptions(), UNABLE),
        (SubstrateOptions("uml"), ABLE),
        (SubstrateOptions(clock="virtual"), ABLE),
        (SubstrateOptions("uml", clock="virtual"), UNABLE),
        (SubstrateOptions(kernel=EXACT.path), UNABLE),
    ],
)
def test_virtual_time_is_taken_where_it_can_be_had(options: SubstrateOptions, facts: Facts) -> None:
    """Unless another clock or this kernel was asked for, a guest that has virtual time runs in it."""
    substrate, why = decide(NEEDS, options, facts, EXACT)

    assert substrate == Uml(EXACT, virtual=True)
    assert why.startswith("in virtual time")


@pytest.mark.parametrize(("facts", "expected"), [(ABLE, Here()), (UNABLE, Uml(EXACT))])
def test_real_time_is_kept_to_when_asked_for(facts: Facts, expected: object) -> None:
    """With `--clock real` this kernel comes first again, and a guest runs in real time."""
    assert decide(NEEDS, SubstrateOptions(clock="real"), facts, EXACT)[0] == expected


@pytest.mark.parametrize("guest", [GUEST, NONE])
def test_virtual_time_that_cannot_be_had_is_refused(guest: GuestKernel | str) -> None:
    """Asked for by name, it is never silently replaced by the other clock."""
    with pytest.raises(RefusedError):
        decide(NEEDS, SubstrateOptions(clock="virtual"), ABLE, guest)


def test_virtual_time_and_here_contradict_each_other() -> None:
    """`--substrate here --clock virtual` is the author's mistake."""
    with pytest.raises(SpecError, match=r"--clock virtual.*--substrate here"):
        choose(NEEDS, SubstrateOptions("here", clock="virtual"))


@pytest.mark.parametrize("options", [SubstrateOptions(), SubstrateOptions("here"), SubstrateOptions(clock="real")])
def test_a_real_interface_is_worked_on_where_it_is(options: SubstrateOptions) -> None:
    """Whatever guests there are, the kernel that has the interface is the one."""
    substrate, why = on_interface("eth0", NEEDS, options, ABLE)

    assert substrate == Here()
    assert why == "on eth0, in this kernel, 6.8.0"


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (SubstrateOptions("uml"), "--substrate uml"),
        (SubstrateOptions(clock="virtual"), "--clock virtual"),
        (SubstrateOptions(kernel=GUEST.path), "--kernel"),
    ],
)
def test_a_guest_has_none_of_our_interfaces(options: SubstrateOptions, option: str) -> None:
    """Each option that asks for a guest is named."""
    with pytest.raises(SpecError, match=f"{option} needs a guest, and a guest does not have eth0.*remove it"):
        on_interface("eth0", NEEDS, options, ABLE)


def test_a_kernel_that_cannot_is_not_replaced() -> None:
    """What is missing is said with what to type for it, and no guest is recommended."""
    with pytest.raises(RefusedError, match=r"which has eth0, cannot do this: .*sudo modprobe -a sch_netem$"):
        on_interface("eth0", NEEDS, SubstrateOptions(), UNABLE)


def test_a_command_is_told_where_it_runs_in_a_few_words() -> None:
    """Why this kernel is not used is in brackets, and the clock follows."""
    real, virtual = SubstrateOptions(clock="real"), SubstrateOptions(clock="virtual")

    assert in_brief(Here(), real, []) == "in this kernel, real clock"
    assert in_brief(Uml(GUEST), real, ["netem"]) == "in a guest (this kernel has no netem), real clock"
    assert in_brief(Uml(EXACT, virtual=True), virtual, []) == "in a guest (as asked), virtual clock"

"""The commands that we print do what we do: executed by iproute2's own tools, they end in the very same kernel."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab import links, run, state

from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import (
    Address,
    Change,
    FourState,
    GilbertElliott,
    Ifb,
    Knob,
    Link,
    Mtu,
    Neighbour,
    Netem,
    RandomLoss,
    Route,
    Setting,
    Slot,
    Sysctl,
    Veth,
)
from chaoskit.report.commands import apply_commands, revert_commands
from chaoskit.topology.steering import Remote, TrafficSelector, steer

MS = 1_000_000
MS_BIND = 4096  # mount(2)
ALL = 2**32 - 1
MATCHES_ALL = "match 00000000/00000000 at 0"
THIRD, FEW = ALL // 3, ALL // 997
ROOM = Knob("qdisc", "here", "cable")
# Each part of a netem, as much of it as tc 6.1 can say.
NETEMS = (
    Netem(),
    Netem(limit=7),
    Netem(delay=80 * MS, jitter=20 * MS, delay_correlation=THIRD),
    *(
        Netem(delay=50 * MS, jitter=8 * MS, distribution=name)
        for name in ("uniform", "normal", "pareto", "paretonormal")
    ),
    Netem(delay=8000),
    Netem(jitter=8000),
    Netem(delay=274 * 1000 * MS),
    Netem(loss=RandomLoss(ALL)),
    Netem(loss=RandomLoss(FEW, THIRD), ecn=True),
    Netem(loss=RandomLoss(0, THIRD)),
    Netem(loss=GilbertElliott(FEW, THIRD, 0, 0)),
    Netem(loss=GilbertElliott(FEW, THIRD, ALL // 4, ALL // 5), ecn=True),
    Netem(loss=FourState(FEW, THIRD, 1, ALL, 12345)),
    Netem(duplicate=FEW),
    Netem(duplicate=ALL, duplicate_correlation=THIRD),
    Netem(delay=8 * MS, jitter=MS, duplicate=1, duplicate_correlation=2),
    Netem(corrupt=FEW, corrupt_correlation=THIRD),
    Netem(delay=MS, reorder=THIRD, gap=1),
    Netem(delay=MS, reorder=ALL, reorder_correlation=FEW, gap=5),
    Netem(rate=1),
    Netem(rate=125_000, packet_overhead=-14, cell_size=53, cell_overhead=-5),
    Netem(rate=2**40 + 1, packet_overhead=26),
    Netem(slot=Slot(min_delay=1, max_delay=9 * MS)),
    Netem(slot=Slot(MS, MS, 8, 9000)),
    Netem(slot=Slot(dist_delay=5 * MS, dist_jitter=2 * MS, max_packets=3, distribution="normal")),
    Netem(slot=Slot(2 * MS, 3 * MS, 8, 9000, 4 * MS, MS, "pareto")),
)
SELECTORS = (
    TrafficSelector(),
    TrafficSelector((Remote("10.0.0.2/32", 443),), protocol="tcp"),
    TrafficSelector((Remote("10.0.0.0/8"), Remote("fd00::/64")), versions=frozenset({4, 6})),
    TrafficSelector((Remote("192.0.2.7/32", 443), Remote("2001:db8::7/128", 8443))),
    TrafficSelector((), 5000, "udp"),
    TrafficSelector((Remote(None, 53),), 5000),
    TrafficSelector(protocol="icmp"),
    TrafficSelector(versions=frozenset({6})),
)
OTHERS: tuple[Change, ...] = (
    (Knob("link", "here", "cable"), Link(up=True, mtu=1400, gso_max_segs=9)),
    (Knob("address", "here", "cable 10.9.0.1/24"), Address()),
    (Knob("address", "here", "cable fd09::1/64"), Address()),
    (Knob("route", "here", "10.8.0.0/16"), Route("10.9.0.254")),
    (Knob("route", "here", "fd08::/32"), Route("fd09::254", mtu=1400, advmss=1340)),
    (Knob("route", "here", "10.7.0.1/32"), Route(dev="cable", mtu=1300)),
    (Knob("mtu", "here", "cable"), Mtu(1350)),
    (Knob("neighbour", "here", "cable 10.9.0.254"), Neighbour("02:00:00:00:00:09")),
    (Knob("neighbour", "here", "cable fd09::254"), Neighbour("02:00:00:00:00:09")),
    (Knob("sysctl", "here", "net.ipv4.ip_forward"), Sysctl("1")),
    (Knob("sysctl", "here", "net.ipv4.tcp_rmem"), Sysctl("4096 90000 6000000")),
    (Knob("veth", "here", "second"), Veth("there", "second", "02:00:00:00:01:01", "02:00:00:00:01:02")),
    (Knob("ifb", "here", "an-ifb"), Ifb()),
    (Knob("link", "here", "an-ifb"), Link(up=True, mtu=1500, gso_max_segs=65535)),
    (Knob("qdisc", "here", "an-ifb"), Netem(delay=8 * MS)),
)


def inside(changes: tuple[Change, ...]) -> list[Change]:
    """The same in the namespace `here`."""
    return [(replace(knob, place="here"), setting) for knob, setting in changes]


def execute(kernel: LinuxKernel, lines: list[str]) -> None:
    """As a person would: in a shell, where `here` and `there` are names for our namespaces."""
    Path("/run/netns").mkdir(exist_ok=True)
    for place in ("here", "there"):
        name = Path("/run/netns", place)
        name.touch()
        descriptor = f"/proc/self/fd/{kernel.fileno(place)}".encode()
        assert ctypes.CDLL(None).mount(descriptor, bytes(name), None, MS_BIND, None) == 0
    try:
        done = subprocess.run(["sh", "-ex"], input="\n".join(lines), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        for place in ("here", "there"):
            subprocess.run(["umount", f"/run/netns/{place}"], check=True)


def look(kernel: LinuxKernel, deep: bool = False) -> str:
    """What iproute2 tells of links, qdiscs and filters; `deep`: and of everything else, sysctls too."""
    looks = ["tc -d qdisc", *(f"tc -d filter show dev cable {hook}" for hook in ("ingress", "egress"))]
    with kernel.inside("here"):
        told = [links(), *(run(*words.split()) for words in looks)]
    return "\n".join([*told, state(kernel, "here") if deep else ""])


def without_numbers(text: str) -> list[str]:
    """A link made anew has another number, and a random address where none was asked for."""
    kept = []
    for line in re.sub(r"@if\d+", "@", text).splitlines():
        words = line.replace(":", " : ").split() if line[:1].isdigit() else line.split()
        kept.append(" ".join(words[1:] if line[:1].isdigit() else words))
    return kept


def compare(kernel: LinuxKernel, tmp_path: Path, changes: list[Change], deep: bool = False) -> None:
    """Ours, then theirs, and back."""
    before, former = look(kernel, deep), {knob: kernel.read(knob) for knob, _ in changes}
    with Journal.at(tmp_path) as journal:
        for change in changes:
            apply(kernel, journal, change)
        ours = look(kernel, deep)
        assert restore(kernel, journal) == []
    assert without_numbers(look(kernel, deep)) == without_numbers(before)

    execute(kernel, apply_commands(changes, former))
    theirs = look(kernel, deep)
    execute(kernel, revert_commands(changes, former))

    assert "\n".join(cleaned(theirs)) == "\n".join(cleaned(ours))
    assert without_numbers(look(kernel, deep)) == without_numbers(before)
    assert ours != before


def cleaned(text: str) -> list[str]:
    """Without what differs from one making to the next of the same, a link's number and its random address, and
    without the one key that tc's u32 must be given where we give none."""
    kept = [line for line in without_numbers(text) if "link/ether" not in line or "02:00:00" in line]
    return [line for line in kept if line != MATCHES_ALL]


@pytest.mark.parametrize("netem", NETEMS, ids=lambda netem: " ".join(map(str, undefault(netem))) or "nothing")
def test_a_netem(kernel: LinuxKernel, tmp_path: Path, netem: Netem) -> None:
    """tc told by us makes the very qdisc that we make, in every field, with our handle, and it goes."""
    held = []
    who: Callable[[], None]
    for who in (lambda: kernel.write(ROOM, netem), lambda: execute(kernel, apply_commands([(ROOM, netem)]))):
        who()
        with kernel.inside("here"):
            held.append((run("tc", "-d", "qdisc", "show", "dev", "cable"), replace(fields(kernel), seed=None)))
        if len(held) == 1:
            kernel.write(ROOM, None)

    execute(kernel, revert_commands([(ROOM, netem)]))

    assert held[0] == held[1]
    assert "ca05:" in held[0][0]
    assert kernel.read(ROOM) is None
    assert not any("cannot" in line for line in apply_commands([(ROOM, netem)]))


def fields(kernel: LinuxKernel) -> Netem:
    """What the kernel holds of it."""
    found = kernel.read(ROOM)
    assert isinstance(found, Netem)
    return found


def undefault(netem: Netem) -> list[Any]:
    """What it says."""
    return [f"{key}={value}" for key, value in vars(netem).items() if value != vars(Netem())[key]]


@pytest.mark.parametrize(
    ("classifier", "selector"),
    [("flower", selector) for selector in SELECTORS]
    + [("u32", replace(SELECTORS[n], versions=frozenset({4}))) for n in (0, 1, 6)],
    ids=str,
)
def test_steering(kernel: LinuxKernel, tmp_path: Path, selector: TrafficSelector, classifier: str) -> None:
    """Both directions of an injection: ifbs, netems, clsact and every filter, byte for byte as tc and ip show them."""
    changes = inside(steer("cable", selector, {"up": NETEMS[2], "down": NETEMS[13]}, classifier))

    compare(kernel, tmp_path, changes)


def test_a_clsact_of_others_stays(kernel: LinuxKernel, tmp_path: Path) -> None:
    """A clsact with somebody's filter in it is neither made nor taken away."""
    with kernel.inside("here"):
        run("tc", "qdisc", "add", "dev", "cable", "clsact")
    execute(kernel, ["tc -n here filter add dev cable egress protocol ip pref 7 matchall action ok"])

    compare(kernel, tmp_path, inside(steer("cable", SELECTORS[1], {"up": NETEMS[2]}, "flower")))

    with kernel.inside("here"):
        assert "pref 7" in run("tc", "filter", "show", "dev", "cable", "egress")


def test_every_other_kind_of_knob(kernel: LinuxKernel, tmp_path: Path) -> None:
    """Links, addresses, routes, neighbours, sysctls, veths: as we set them, and back."""
    kernel.write(Knob("sysctl", "here", "net.ipv6.conf.cable.accept_dad"), Sysctl("0"))  # else it is tentative a while

    compare(kernel, tmp_path, list(OTHERS), deep=True)


def test_a_netem_in_place_of_another(kernel: LinuxKernel) -> None:
    """Nothing of the former netem is left in the next one, and the way back leads to the former."""
    former: dict[Knob, Setting] = {ROOM: NETEMS[13]}
    execute(kernel, apply_commands([(ROOM, NETEMS[13])]))

    execute(kernel, apply_commands([(ROOM, NETEMS[2])], former))
    changed = fields(kernel)
    execute(kernel, revert_commands([(ROOM, NETEMS[2])], former))

    assert replace(changed, seed=None) == kernel.holds(NETEMS[2])
    assert replace(fields(kernel), seed=None) == kernel.holds(NETEMS[13])


@pytest.mark.parametrize(
    ("netem", "remark"),
    [
        (Netem(seed=5), "iproute2 6.6 has: seed 5"),
        (Netem(delay=9 * 1000), "tc 6.1 rounds the delay to 8960 ns, later versions set 9000 ns"),
        (Netem(delay=300 * 1000 * MS), "tc 6.1 cannot set a delay of 300s"),
        (Netem(rate=2**62), "tc cannot set 4611686018427387904 bytes per second"),
        (Netem(ecn=True), "no ecn without a loss"),
        (Netem(gap=5), "no gap 5 without a reorder"),
        (Netem(reorder=5), "no reorder without a delay"),
        (Netem(delay=MS, jitter=MS, distribution=(1, 2)), "the table's 2 values in a file"),
    ],
)
def test_what_tc_cannot_say_is_said(netem: Netem, remark: str) -> None:
    """What would come out otherwise stands in a line of its own that starts with #."""
    remarks = [line for line in apply_commands([(ROOM, netem)]) if line.startswith("# ")]

    assert any(remark in line for line in remarks), remarks

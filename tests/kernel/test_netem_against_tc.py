"""Compares our netem with the kernel's dump and with iproute2: every attribute, added and changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lab import CABLE, run

from chaoskit.errors import RefusedError
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.tc.delay_distributions import MAX_ENTRIES, NAMES, table
from chaoskit.knobs import Foreign, FourState, GilbertElliott, Netem, RandomLoss, Slot

MS = 1_000_000
ALL = 2**32 - 1
HALF, THIRD, FEW = ALL // 2, ALL // 3, ALL // 1000
EVERYTHING = Netem(
    delay=30 * MS,
    jitter=5 * MS,
    delay_correlation=FEW,
    distribution="paretonormal",
    limit=77,
    loss=RandomLoss(THIRD, FEW),
    ecn=True,
    duplicate=FEW,
    duplicate_correlation=HALF,
    corrupt=FEW + 1,
    corrupt_correlation=HALF + 1,
    reorder=FEW + 2,
    reorder_correlation=HALF + 2,
    gap=9,
    rate=2**33 + 1,
    packet_overhead=-14,
    cell_size=53,
    cell_overhead=-5,
    slot=Slot(2 * MS, 3 * MS, 8, 9000, 4 * MS, MS, "normal"),
    seed=2**64 - 1,
)
SETTINGS = (
    Netem(),
    Netem(delay=1),
    Netem(delay=999_999_999_999),
    Netem(delay=2**62, limit=ALL),
    *(Netem(delay=50 * MS, jitter=10 * MS, distribution=name) for name in (None, *NAMES)),
    Netem(delay=50 * MS, jitter=10 * MS, distribution=(-(2**15),)),
    Netem(delay=50 * MS, jitter=10 * MS, distribution=(2**15 - 1,) * MAX_ENTRIES),
    Netem(delay=5_000 * MS, jitter=3_000 * MS, delay_correlation=HALF),
    Netem(jitter=1),
    Netem(loss=RandomLoss(ALL)),
    Netem(loss=RandomLoss(FEW, THIRD), ecn=True),
    Netem(loss=RandomLoss(0, THIRD)),
    Netem(loss=GilbertElliott(FEW, THIRD, 0, 0)),
    Netem(loss=GilbertElliott(FEW, THIRD, ALL // 4, ALL // 5), ecn=True),
    Netem(loss=FourState(FEW, THIRD, HALF, ALL, FEW + 5)),
    Netem(duplicate=FEW),
    Netem(duplicate=ALL, duplicate_correlation=HALF),
    Netem(corrupt=FEW),
    Netem(corrupt=ALL, corrupt_correlation=HALF),
    Netem(delay=MS, reorder=THIRD, gap=1),
    Netem(delay=MS, reorder=ALL, reorder_correlation=HALF, gap=5),
    Netem(gap=3),
    Netem(reorder=FEW),
    Netem(rate=1),
    Netem(rate=ALL, packet_overhead=26),
    Netem(rate=ALL + 1, cell_size=53, cell_overhead=5),
    Netem(rate=2**62, packet_overhead=-(2**31), cell_size=ALL, cell_overhead=2**31 - 1),
    Netem(slot=Slot(min_delay=MS, max_delay=MS)),
    Netem(slot=Slot(0, 9 * MS, 2**31 - 1, 2**31 - 1)),
    Netem(slot=Slot(max_packets=5, max_bytes=6)),
    Netem(slot=Slot(dist_delay=5 * MS, dist_jitter=2 * MS, max_packets=3, distribution="normal")),
    Netem(slot=Slot(dist_delay=5 * MS, dist_jitter=3_000 * MS, distribution=(1, 2, 3))),
    Netem(seed=0),
    Netem(seed=42, limit=0),
    EVERYTHING,
)


def test_added_netems_read_back(kernel: LinuxKernel) -> None:
    """Each netem, added where none was, reads back as predicted, attribute by attribute."""
    for netem in SETTINGS:
        kernel.write(CABLE, netem)
        assert kernel.read(CABLE) == kernel.holds(netem), netem
        kernel.write(CABLE, None)
        assert kernel.read(CABLE) is None


def test_changed_netems_read_back(kernel: LinuxKernel) -> None:
    """Each netem, set over another one and over one with all options, reads back exactly, with the same handle."""
    for number, netem in enumerate(SETTINGS):
        for other in (EVERYTHING, SETTINGS[number - 7]):
            kernel.write(CABLE, other)
            kernel.write(CABLE, netem)
            assert kernel.read(CABLE) == kernel.holds(netem), (netem, other)


def test_tc_shows_the_same_netem(kernel: LinuxKernel) -> None:
    """Everything that tc prints of a netem is what we read, to the digits that tc prints."""
    for netem in SETTINGS:
        kernel.write(CABLE, netem)
        with kernel.inside("here"):
            (printed,) = json.loads(run("tc", "-j", "-s", "-d", "qdisc", "show", "dev", "cable"))
        held = kernel.read(CABLE)
        assert isinstance(held, Netem)

        assert (printed["kind"], printed["handle"]) == ("netem", "ca05:")
        assert flat(printed["options"]) == pytest.approx(as_tc_prints(held), rel=1e-5, abs=1e-9), netem


def flat(options: dict[str, Any]) -> dict[str, Any]:
    """Nested sections as `section.key`."""
    return {
        (f"{name}.{key}" if key else name): value
        for name, section in options.items()
        for key, value in (section.items() if isinstance(section, dict) else [("", section)])
    }


def as_tc_prints(netem: Netem) -> dict[str, Any]:
    """The options of `tc -j` of iproute2 6.1 (tc/q_netem.c): seconds and shares as floats, no empty sections."""
    told: dict[str, Any] = {"limit": netem.limit, "ecn": netem.ecn, "gap": netem.gap}
    if seconds(netem.delay):
        told["delay"] = {
            "delay": seconds(netem.delay),
            "jitter": seconds(netem.jitter),
            "correlation": netem.delay_correlation / ALL,
        }
    match netem.loss:
        case RandomLoss(share, correlation) if share:
            told["loss-random"] = {"loss": share / ALL, "correlation": correlation / ALL}
        case GilbertElliott(p, r, h, k1):
            told["loss-gemodel"] = {"p": p / ALL, "r": r / ALL, "1-h": 1 - h / ALL, "1-k": k1 / ALL}
        case FourState():
            told["loss-state"] = {key: getattr(netem.loss, key) / ALL for key in ("p13", "p31", "p32", "p23", "p14")}
    for name in ("duplicate", "reorder", "corrupt"):
        share, correlation = getattr(netem, name), getattr(netem, f"{name}_correlation")
        if share:
            told[name] = {name: share / ALL, "correlation": correlation / ALL}
    if netem.rate:
        extras = {
            key.replace("_", ""): getattr(netem, key) for key in ("packet_overhead", "cell_size", "cell_overhead")
        }
        told["rate"] = {"rate": netem.rate, **extras}
    if slot := netem.slot:
        drawn = {"distribution": slot.dist_delay / 1e9, "jitter": slot.dist_jitter / 1e9}
        ranged = {"min-delay": slot.min_delay / 1e9, "max-delay": slot.max_delay / 1e9}
        told["slot"] = {
            **(drawn if slot.dist_jitter else ranged),
            "packets": slot.max_packets,
            "bytes": slot.max_bytes,
        }
    return flat(told)


def seconds(ns: int) -> float:
    """A delay as tc shows it: from the header's 32 bits of 64 ns each, in whole microseconds."""
    return min(ns // 64, ALL) * 64 // 1000 / 1e6


def test_the_tables_equal_those_of_iproute2() -> None:
    """Each named table equals iproute2's data file to within one unit of 1/8192."""
    folder = next(Path("/usr/lib").glob("**/tc/normal.dist")).parent

    for name in ("normal", "pareto", "paretonormal"):
        text = (folder / f"{name}.dist").read_text()
        theirs = [int(word) for line in text.splitlines() if not line.startswith("#") for word in line.split()]
        assert len(theirs) == len(table(name))
        assert max(abs(a - b) for a, b in zip(theirs, table(name), strict=True)) <= 1, name


def test_the_default_qdisc_reads_as_none(kernel: LinuxKernel) -> None:
    """The kernel's default root qdisc reads as None, and comes back when ours is removed."""
    with kernel.inside("here"):
        before = run("tc", "qdisc", "show", "dev", "cable")

    assert kernel.read(CABLE) is None
    kernel.write(CABLE, EVERYTHING)
    kernel.write(CABLE, None)

    with kernel.inside("here"):
        assert run("tc", "qdisc", "show", "dev", "cable") == before


def test_other_qdiscs_are_foreign(kernel: LinuxKernel) -> None:
    """A qdisc that is not ours, even a netem, reads as foreign and is never written."""
    theirs = {"pfifo": ("pfifo", "limit", "10"), "netem": ("netem", "delay", "20ms", "5ms", "loss", "1%")}
    for kind, words in theirs.items():
        with kernel.inside("here"):
            run("tc", "qdisc", "replace", "dev", "cable", "root", *words)
            before = run("tc", "qdisc", "show", "dev", "cable")

        assert kernel.read(CABLE) == Foreign(kind)
        for setting in (Netem(delay=1), None):
            with pytest.raises(RefusedError, match="tc qdisc del dev cable root"):
                kernel.write(CABLE, setting)

        with kernel.inside("here"):
            assert run("tc", "qdisc", "show", "dev", "cable") == before
            run("tc", "qdisc", "del", "dev", "cable", "root")

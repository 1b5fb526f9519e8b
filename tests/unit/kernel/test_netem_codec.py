"""The netem codec without a kernel: what is sent is what is read, and the tables."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import replace
from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from chaoskit.errors import RefusedError
from chaoskit.kernel.tc.delay_distributions import LONGEST, NAMES, table
from chaoskit.kernel.tc.netem import decode, encode, held, must_start_anew, register
from chaoskit.knobs import FourState, GilbertElliott, Netem, RandomLoss, Slot

register()

u32 = st.integers(0, 2**32 - 1)
s32 = st.integers(-(2**31), 2**31 - 1)
count = st.integers(0, 2**31 - 1)
ns = st.integers(0, 2**63 - 1)
distributions = st.none() | st.sampled_from(NAMES) | st.tuples(st.integers(-(2**15), 2**15 - 1))
slots = st.builds(Slot, ns, ns, count, count, ns, ns, distributions)
losses = st.one_of(
    st.builds(RandomLoss, u32, u32),
    st.builds(GilbertElliott, u32, u32, u32, u32),
    st.builds(FourState, u32, u32, u32, u32, u32),
)
netems = st.builds(
    Netem,
    delay=ns,
    jitter=ns,
    delay_correlation=u32,
    distribution=distributions,
    limit=u32,
    loss=st.none() | losses,
    ecn=st.booleans(),
    duplicate=u32,
    duplicate_correlation=u32,
    corrupt=u32,
    corrupt_correlation=u32,
    reorder=u32,
    reorder_correlation=u32,
    gap=u32,
    rate=st.integers(0, 2**64 - 1),
    packet_overhead=s32,
    cell_size=u32,
    cell_overhead=s32,
    slot=st.none() | slots,
    seed=st.none() | st.integers(0, 2**64 - 1),
)


def over_the_wire(netem: Netem, anew: bool) -> Any:
    """The options of a netem as a receiver of the bytes sees them."""
    sent = tcmsg()
    sent["attrs"] = [["TCA_KIND", "netem"], ["TCA_OPTIONS", encode(netem, anew)]]
    sent.encode()
    received = tcmsg(sent.data)
    received.decode()
    return received.get_attr("TCA_OPTIONS")


@given(netems, st.booleans())
def test_what_is_sent_is_what_is_read(netem: Netem, anew: bool) -> None:
    """Every attribute of every netem survives the way to bytes and back."""
    got = decode(over_the_wire(netem, anew))

    assert held(got, keeps_seed=True) == held(netem, keeps_seed=True)


@given(netems)
def test_what_is_held_is_held(netem: Netem) -> None:
    """Setting what was read back reads back the same, whether the kernel keeps seeds or not."""
    for keeps_seed in (True, False):
        once = held(netem, keeps_seed)

        assert held(once, keeps_seed) == once


def test_a_kernel_without_seeds_holds_none() -> None:
    """On a kernel that ignores the seed, none is what reads back."""
    assert held(Netem(seed=5), keeps_seed=False).seed is None
    assert held(Netem(seed=5), keeps_seed=True).seed == 5


def test_a_seed_that_nobody_asked_for_reads_as_none() -> None:
    """Two netems without a seed are sent different ones, and both read back without."""
    seeds = [over_the_wire(Netem(), anew=True).get_attr("TCA_NETEM_PRNG_SEED") for _ in range(2)]

    assert seeds[0] != seeds[1]
    assert decode(over_the_wire(Netem(), anew=True)).seed is None


def test_everything_is_sent_every_time() -> None:
    """The empty netem names every attribute, because the kernel keeps what a change leaves out."""
    sent = Counter(name.removeprefix("TCA_NETEM_") for name, _ in encode(Netem(), anew=False)["attrs"])

    assert sent == Counter(["LATENCY64", "JITTER64", "CORR", "REORDER", "CORRUPT", "RATE", "ECN", "SLOT", "PRNG_SEED"])


def test_a_change_takes_a_loaded_table_away() -> None:
    """A netem that draws from no table is sent the uniform one when it is changed, and none when made."""
    plain = Netem(delay=10, jitter=5)

    assert over_the_wire(plain, anew=True).get_attr("TCA_NETEM_DELAY_DIST") is None
    assert sent_table(plain) == table("uniform")
    assert sent_table(replace(plain, distribution="pareto")) == table("pareto")
    assert sent_table(replace(plain, distribution=(1, -2, 3))) == (1, -2, 3)
    assert sent_table(replace(plain, jitter=0, distribution="pareto")) == ()


def sent_table(netem: Netem) -> tuple[int, ...]:
    raw: bytes = over_the_wire(netem, anew=False).get_attr("TCA_NETEM_DELAY_DIST") or b""
    return struct.unpack(f"={len(raw) // 2}h", raw)


def test_a_slot_table_is_only_left_by_starting_anew() -> None:
    """Whatever follows a slot that draws from a table, but another such slot, is made anew."""
    drawn = Netem(slot=Slot(dist_delay=5, dist_jitter=2, distribution="normal"))
    ranged = Netem(slot=Slot(min_delay=5, max_delay=9))
    now = held(drawn, keeps_seed=True)

    assert not must_start_anew(now, drawn)
    assert must_start_anew(now, ranged)
    assert must_start_anew(now, Netem())
    assert not must_start_anew(ranged, drawn)
    assert not must_start_anew(ranged, Netem())


def test_tables_that_do_not_fit_are_refused() -> None:
    """Two of the longest tables are more than a netlink attribute holds; one is not."""
    longest = (1,) * LONGEST
    one = Netem(delay=9, jitter=5, distribution=longest, slot=Slot(dist_delay=5, dist_jitter=2))
    assert one.slot is not None

    over_the_wire(one, anew=True)
    with pytest.raises(RefusedError, match="shorten"):
        encode(replace(one, slot=replace(one.slot, distribution=longest)), anew=True)


def test_the_tables_are_what_their_names_say() -> None:
    """4096 entries each, rising, with a mean of 0 and the deviation of the name, in units of 1/8192."""
    deviations = {"uniform": 8192 / 3**0.5, "normal": 8192, "pareto": 8192, "paretonormal": 8192}

    for name in NAMES:
        entries = table(name)
        assert len(entries) == 4096
        assert list(entries) == sorted(entries), name
        assert abs(fmean(entries)) < 8192 * 0.06, name  # the Pareto's far end is cut at four deviations
        assert 0.7 < pstdev(entries) / deviations[name] < 1.01, name


def test_a_table_of_ones_own_is_checked() -> None:
    """A custom table has 1 to 16384 entries of 16 bits; a name is one of four."""
    assert table((5,)) == (5,)
    for wrong in ((), (0,) * (LONGEST + 1), (32768,), (-32769,), "cauchy"):
        with pytest.raises(ValueError, match=r"table|distribution"):
            table(wrong)

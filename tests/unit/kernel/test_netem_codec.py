"""Tests the netem codec and the distribution tables without a kernel."""

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
from chaoskit.kernel.tc.delay_distributions import MAX_ENTRIES, NAMES, table
from chaoskit.kernel.tc.netem import decode, encode, must_replace, normalized, register
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


def over_the_wire(netem: Netem, is_new: bool) -> Any:
    """The options of a netem, decoded from their bytes."""
    sent = tcmsg()
    sent["attrs"] = [["TCA_KIND", "netem"], ["TCA_OPTIONS", encode(netem, is_new)]]
    sent.encode()
    received = tcmsg(sent.data)
    received.decode()
    return received.get_attr("TCA_OPTIONS")


@given(netems, st.booleans())
def test_encoded_netems_decode_to_themselves(netem: Netem, is_new: bool) -> None:
    """Every attribute of every netem round-trips through its bytes."""
    got = decode(over_the_wire(netem, is_new))

    assert normalized(got, keeps_seed=True) == normalized(netem, keeps_seed=True)


@given(netems)
def test_normalization_is_idempotent(netem: Netem) -> None:
    """Setting what was read back reads back the same, whether the kernel keeps seeds or not."""
    for keeps_seed in (True, False):
        once = normalized(netem, keeps_seed)

        assert normalized(once, keeps_seed) == once


def test_a_kernel_without_seeds_reads_back_none() -> None:
    """On a kernel that ignores the seed, none reads back."""
    assert normalized(Netem(seed=5), keeps_seed=False).seed is None
    assert normalized(Netem(seed=5), keeps_seed=True).seed == 5


def test_a_seed_that_was_not_requested_reads_as_none() -> None:
    """Two netems without a seed are sent different ones, and both read back as None."""
    seeds = [over_the_wire(Netem(), is_new=True).get_attr("TCA_NETEM_PRNG_SEED") for _ in range(2)]

    assert seeds[0] != seeds[1]
    assert decode(over_the_wire(Netem(), is_new=True)).seed is None


def test_all_attributes_are_sent_every_time() -> None:
    """The empty netem sends every attribute, because the kernel keeps those that a change leaves out."""
    sent = Counter(name.removeprefix("TCA_NETEM_") for name, _ in encode(Netem(), is_new=False)["attrs"])

    assert sent == Counter(["LATENCY64", "JITTER64", "CORR", "REORDER", "CORRUPT", "RATE", "ECN", "SLOT", "PRNG_SEED"])


def test_a_change_replaces_a_loaded_table() -> None:
    """A netem without a table is sent the uniform one when it is changed, and none when it is added."""
    plain = Netem(delay=10, jitter=5)

    assert over_the_wire(plain, is_new=True).get_attr("TCA_NETEM_DELAY_DIST") is None
    assert sent_table(plain) == table("uniform")
    assert sent_table(replace(plain, distribution="pareto")) == table("pareto")
    assert sent_table(replace(plain, distribution=(1, -2, 3))) == (1, -2, 3)
    assert sent_table(replace(plain, jitter=0, distribution="pareto")) == ()


def sent_table(netem: Netem) -> tuple[int, ...]:
    raw: bytes = over_the_wire(netem, is_new=False).get_attr("TCA_NETEM_DELAY_DIST") or b""
    return struct.unpack(f"={len(raw) // 2}h", raw)


def test_a_slot_table_is_removed_by_replacing_the_netem() -> None:
    """After a slot with a table, any netem without a slot table replaces the qdisc."""
    drawn = Netem(slot=Slot(dist_delay=5, dist_jitter=2, distribution="normal"))
    ranged = Netem(slot=Slot(min_delay=5, max_delay=9))
    now = normalized(drawn, keeps_seed=True)

    assert not must_replace(now, drawn)
    assert must_replace(now, ranged)
    assert must_replace(now, Netem())
    assert not must_replace(ranged, drawn)
    assert not must_replace(ranged, Netem())


def test_tables_that_do_not_fit_are_refused() -> None:
    """Two tables of maximum length exceed a netlink attribute; one fits."""
    longest = (1,) * MAX_ENTRIES
    one = Netem(delay=9, jitter=5, distribution=longest, slot=Slot(dist_delay=5, dist_jitter=2))
    assert one.slot is not None

    over_the_wire(one, is_new=True)
    with pytest.raises(RefusedError, match="shorten"):
        encode(replace(one, slot=replace(one.slot, distribution=longest)), is_new=True)


def test_the_tables_have_the_named_distribution() -> None:
    """4096 ascending entries each, with mean 0 and the deviation of the distribution, in units of 1/8192."""
    deviations = {"uniform": 8192 / 3**0.5, "normal": 8192, "pareto": 8192, "paretonormal": 8192}

    for name in NAMES:
        entries = table(name)
        assert len(entries) == 4096
        assert list(entries) == sorted(entries), name
        assert abs(fmean(entries)) < 8192 * 0.06, name  # the Pareto's far end is cut at four deviations
        assert 0.7 < pstdev(entries) / deviations[name] < 1.01, name


def test_a_custom_table_is_checked() -> None:
    """A custom table has 1 to 16384 entries of 16 bits; a name is one of four."""
    assert table((5,)) == (5,)
    for wrong in ((), (0,) * (MAX_ENTRIES + 1), (32768,), (-32769,), "cauchy"):
        with pytest.raises(ValueError, match=r"table|distribution"):
            table(wrong)

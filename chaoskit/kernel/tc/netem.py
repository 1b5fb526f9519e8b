"""Encodes and decodes `knobs.Netem` as TCA_NETEM_* attributes, all of them.

Rules (net/sched/sch_netem.c):
- All attributes are sent every time, because the kernel keeps those that a change leaves out.
- What reads back is `normalized(asked)`: without tables (the kernel never dumps them) and ignored values.
- A delay table cannot be unloaded, so a change without a table sends the uniform one, which is equivalent.
  A slot table cannot be unloaded either and has no equivalent: see `must_replace`.
- The kernel chooses a seed where none is sent, and dumps it. Without a requested seed we send a random one
  with a mark in its upper half, so that any process that reads it back knows that none was requested.
"""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from typing import Any

from pyroute2.netlink import nla
from pyroute2.netlink.rtnl import TC_H_ROOT
from pyroute2.netlink.rtnl.tcmsg import plugins

from chaoskit.errors import RefusedError
from chaoskit.kernel.tc.delay_distributions import table
from chaoskit.knobs import FourState, GilbertElliott, Loss, Netem, RandomLoss, Slot

Attributes = list[list[Any]]  # pyroute2's: [name, value] pairs, in the order they are sent

_U32 = 2**32 - 1
_INT_MAX = 2**31 - 1
_MAX_ATTRIBUTE = 65_535 - 4  # a netlink attribute's length is 16 bits, its header's 4 bytes included
_RANDOM_SEED_MARK = 0x6368_616F << 32  # "chao", the upper half of a seed that was not requested


def register() -> None:
    """Register this codec with pyroute2: `tc(command, "netem", ..., options=encode(...))`, and `decode` of a dump."""
    plugins["netem"] = _Plugin


def encode(netem: Netem, is_new: bool) -> dict[str, Any]:
    """The options of a netem that is added (`is_new`) or changed, for pyroute2.

    Raises RefusedError when the tables do not fit in one netlink attribute.
    """
    loss, slot = netem.loss or RandomLoss(0), netem.slot or Slot()
    delay_table, slot_table = _tables(netem, is_new)
    header = {
        "delay": 0,  # LATENCY64 and JITTER64 below replace these two
        "limit": netem.limit,
        "loss": loss.share if isinstance(loss, RandomLoss) else 0,
        "gap": netem.gap,
        "duplicate": netem.duplicate,
        "jitter": 0,
    }
    attributes: Attributes = [
        ["TCA_NETEM_LATENCY64", netem.delay],
        ["TCA_NETEM_JITTER64", netem.jitter],
        [
            "TCA_NETEM_CORR",
            {
                "delay_corr": netem.delay_correlation,
                "loss_corr": loss.correlation if isinstance(loss, RandomLoss) else 0,
                "dup_corr": netem.duplicate_correlation,
            },
        ],
        ["TCA_NETEM_REORDER", {"probability": netem.reorder, "correlation": netem.reorder_correlation}],
        ["TCA_NETEM_CORRUPT", {"probability": netem.corrupt, "correlation": netem.corrupt_correlation}],
        [
            "TCA_NETEM_RATE",
            {
                "rate": min(netem.rate, _U32),
                "packet_overhead": netem.packet_overhead,
                "cell_size": netem.cell_size,
                "cell_overhead": netem.cell_overhead,
            },
        ],
        ["TCA_NETEM_ECN", int(netem.ecn)],
        ["TCA_NETEM_SLOT", {wire: getattr(slot, wire) for wire, _ in _Options.slot.fields}],
        ["TCA_NETEM_PRNG_SEED", _random_seed() if netem.seed is None else netem.seed],
    ]
    attributes += [["TCA_NETEM_RATE64", netem.rate]] if netem.rate > _U32 else []
    attributes += _encode_markov(loss)
    attributes += [["TCA_NETEM_DELAY_DIST", delay_table]] if delay_table else []
    attributes += [["TCA_NETEM_SLOT_DIST", slot_table]] if slot_table else []
    return {**header, "attrs": attributes}


def decode(options: Any) -> Netem:
    """The netem of a dump's TCA_OPTIONS."""
    get = options.get_attr
    correlation, rate, slot, seed = (get(f"TCA_NETEM_{name}") for name in ("CORR", "RATE", "SLOT", "PRNG_SEED"))
    reorder, corrupt = get("TCA_NETEM_REORDER"), get("TCA_NETEM_CORRUPT")
    return Netem(
        delay=get("TCA_NETEM_LATENCY64"),
        jitter=get("TCA_NETEM_JITTER64"),
        delay_correlation=correlation["delay_corr"],
        limit=options["limit"],
        loss=_decode_loss(options, correlation["loss_corr"]),
        ecn=bool(get("TCA_NETEM_ECN")),
        duplicate=options["duplicate"],
        duplicate_correlation=correlation["dup_corr"],
        corrupt=corrupt["probability"],
        corrupt_correlation=corrupt["correlation"],
        reorder=reorder["probability"],
        reorder_correlation=reorder["correlation"],
        gap=options["gap"],
        rate=get("TCA_NETEM_RATE64") or rate["rate"],
        packet_overhead=rate["packet_overhead"],
        cell_size=rate["cell_size"],
        cell_overhead=rate["cell_overhead"],
        slot=Slot(**{wire: slot[wire] for wire, _ in _Options.slot.fields}) if slot else None,
        seed=None if seed is None or _is_random(seed) else seed,
    )


def normalized(netem: Netem, keeps_seed: bool) -> Netem:
    """What reads back after `netem` was set, on a kernel that keeps seeds (since 6.6) or ignores them."""
    seed = netem.seed if keeps_seed and netem.seed is not None and not _is_random(netem.seed) else None
    return replace(
        netem,
        jitter=min(netem.jitter, _INT_MAX),
        distribution=None,
        loss=None if netem.loss == RandomLoss(0) else netem.loss,
        slot=_normalized_slot(netem.slot),
        seed=seed,
    )


def must_replace(now: Netem, wanted: Netem) -> bool:
    """Whether the netem must be removed and added again, because a slot table may be loaded that `wanted` does not
    have."""
    loaded = now.slot is not None and bool(now.slot.dist_delay or now.slot.dist_jitter)
    return loaded and (wanted.slot is None or wanted.slot.distribution is None)


def _normalized_slot(slot: Slot | None) -> Slot | None:
    if slot is None or not (slot.min_delay or slot.max_delay or slot.dist_jitter):
        return None  # packets and bytes alone enable no slots
    return replace(
        slot,
        max_packets=0 if slot.max_packets == _INT_MAX else slot.max_packets,
        max_bytes=0 if slot.max_bytes == _INT_MAX else slot.max_bytes,
        dist_jitter=min(slot.dist_jitter, _INT_MAX),
        distribution=None,
    )


def _tables(netem: Netem, is_new: bool) -> tuple[bytes, bytes]:
    """The delay and slot tables as bytes; empty where none is needed."""
    delay = netem.distribution if is_new else netem.distribution or "uniform"
    slot = netem.slot.distribution if netem.slot and _normalized_slot(netem.slot) else None
    packed = _pack(delay) if netem.jitter else b"", _pack(slot)
    if sum(map(len, packed)) > _MAX_ATTRIBUTE - 512:  # everything else needs less than that
        raise RefusedError("the delay and slot tables do not fit in one netlink message: shorten one of them")
    return packed


def _pack(distribution: str | tuple[int, ...] | None) -> bytes:
    if distribution is None:
        return b""
    entries = table(distribution)
    return struct.pack(f"={len(entries)}h", *entries)


def _encode_markov(loss: Loss) -> Attributes:
    match loss:
        case RandomLoss():
            return []  # sent in the header; a message without a model selects it
        case GilbertElliott():
            model = ["NETEM_LOSS_GE", {wire: getattr(loss, wire) for wire, _ in _Options.loss.ge.fields}]
        case FourState():
            model = ["NETEM_LOSS_GI", {wire: getattr(loss, wire) for wire, _ in _Options.loss.gi.fields}]
    return [["TCA_NETEM_LOSS", {"attrs": [model]}]]


def _decode_loss(options: Any, correlation: int) -> Loss | None:
    models = options.get_attr("TCA_NETEM_LOSS")
    if models is None:
        share = options["loss"]
        return RandomLoss(share, correlation) if share or correlation else None
    if ge := models.get_attr("NETEM_LOSS_GE"):
        return GilbertElliott(**{wire: ge[wire] for wire, _ in _Options.loss.ge.fields})
    gi = models.get_attr("NETEM_LOSS_GI")
    return FourState(**{wire: gi[wire] for wire, _ in _Options.loss.gi.fields})


def _random_seed() -> int:
    return _RANDOM_SEED_MARK | int.from_bytes(os.urandom(4), "big")


def _is_random(seed: int) -> bool:
    return seed >> 32 == _RANDOM_SEED_MARK >> 32


class _Options(nla):
    """TCA_OPTIONS of a netem: struct tc_netem_qopt and what follows it (linux/pkt_sched.h)."""

    fields = (
        ("delay", "I"),
        ("limit", "I"),
        ("loss", "I"),
        ("gap", "I"),
        ("duplicate", "I"),
        ("jitter", "I"),
    )
    nla_map = (
        ("TCA_NETEM_UNSPEC", "none"),
        ("TCA_NETEM_CORR", "corr"),
        ("TCA_NETEM_DELAY_DIST", "cdata"),
        ("TCA_NETEM_REORDER", "chance"),
        ("TCA_NETEM_CORRUPT", "chance"),
        ("TCA_NETEM_LOSS", "loss"),
        ("TCA_NETEM_RATE", "rate"),
        ("TCA_NETEM_ECN", "uint32"),
        ("TCA_NETEM_RATE64", "uint64"),
        ("TCA_NETEM_PAD", "hex"),
        ("TCA_NETEM_LATENCY64", "int64"),
        ("TCA_NETEM_JITTER64", "int64"),
        ("TCA_NETEM_SLOT", "slot"),
        ("TCA_NETEM_SLOT_DIST", "cdata"),
        ("TCA_NETEM_PRNG_SEED", "uint64"),
    )

    class corr(nla):
        fields = (("delay_corr", "I"), ("loss_corr", "I"), ("dup_corr", "I"))

    class chance(nla):
        fields = (("probability", "I"), ("correlation", "I"))

    class rate(nla):
        fields = (("rate", "I"), ("packet_overhead", "i"), ("cell_size", "I"), ("cell_overhead", "i"))

    class slot(nla):
        fields = (
            ("min_delay", "q"),
            ("max_delay", "q"),
            ("max_packets", "i"),
            ("max_bytes", "i"),
            ("dist_delay", "q"),
            ("dist_jitter", "q"),
        )

    class loss(nla):
        nla_map = (("NETEM_LOSS_UNSPEC", "none"), ("NETEM_LOSS_GI", "gi"), ("NETEM_LOSS_GE", "ge"))

        class gi(nla):
            fields = (("p13", "I"), ("p31", "I"), ("p32", "I"), ("p14", "I"), ("p23", "I"))

        class ge(nla):
            fields = (("p", "I"), ("r", "I"), ("h", "I"), ("k1", "I"))


class _Plugin:
    """The interface that pyroute2 expects of a qdisc: its default parent, and its options."""

    parent = TC_H_ROOT
    options = _Options

"""Writes a netem qdisc or a filter as arguments of tc(8) that give identical kernel settings.

Rule: what iproute2 6.1 cannot express is left out and named in a remark, never approximated.
Source: iproute2, tc/q_netem.c and lib/utils.c, whose numbers are doubles, rounded to the nearest u32.
"""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.knobs import (
    Filter,
    Flow,
    FourState,
    GilbertElliott,
    Loss,
    Match,
    MatchAll,
    Netem,
    RandomLoss,
    Slot,
    U32Match,
)
from chaoskit.topology.steering import PROTOCOLS
from chaoskit.units import Duration, Rate

U32 = 2**32 - 1
_ETHERNET = 14
_MOST_TICKS = 2**32
_EXACT = 2**53  # up to here a double holds every integer
_TC_TABLES = ("normal", "pareto", "paretonormal")
_IP = {number: name for name, number in PROTOCOLS.items()} | {58: "icmpv6"}
Arguments = list[str]
"""Arguments; an element that starts with # is a remark."""


def netem_arguments(netem: Netem) -> tuple[Arguments, Arguments]:
    """The arguments after `netem`, and the remarks: a sentence for each part that is left out."""
    words = list(_netem(netem))
    return [word for word in words if word[0] != "#"], [word[1:] for word in words if word[0] == "#"]


def match_arguments(match: Match) -> Arguments:
    """The arguments after the priority: the classifier and its match."""
    match match:
        case MatchAll():
            return ["matchall", "skip_hw"]
        case Flow():
            return ["flower", "skip_hw", *_flow(match)]
        case U32Match(keys):
            setting = (["match", "u32", f"{k.value:#010x}", f"{k.mask:#010x}", "at", str(k.offset)] for k in keys)
            everything = ["match", "u32", "0", "0", "at", "0"]
            return ["u32", "skip_hw", *([word for key in setting for word in key] or everything)]


def action_arguments(setting: Filter) -> Arguments:
    """The arguments after the match. `police` measures frames, here of a link with an Ethernet header."""
    redirect = ["action", "mirred", "egress", "redirect", "dev", setting.redirect_to or ""]
    if not setting.over:
        return redirect if setting.redirect_to is not None else ["action", "drop"]
    exceed = "pipe" if setting.redirect_to is not None else "drop"
    police = ["action", "police", "mtu", str(setting.over + _ETHERNET), "conform-exceed", f"{exceed}/continue"]
    return [*police, *(redirect if setting.redirect_to is not None else ())]


def _netem(netem: Netem) -> Iterator[str]:
    yield from ("limit", f"{netem.limit:d}")
    if netem.delay or netem.jitter or netem.delay_correlation or _is_correlation_omitted(netem):
        yield from _delay(netem)
    if netem.loss is not None:
        yield from _loss(netem.loss)
        if netem.ecn and netem.loss != RandomLoss(0, 0):
            yield "ecn"
    if netem.ecn and netem.loss in (None, RandomLoss(0, 0)):
        yield "#tc accepts no ecn without a loss"
    yield from _percent("duplicate", netem.duplicate, netem.duplicate_correlation)
    yield from _percent("corrupt", netem.corrupt, netem.corrupt_correlation)
    if netem.reorder and not netem.delay:
        yield "#tc accepts no reorder without a delay"
    elif netem.gap and not netem.reorder:
        yield f"#tc accepts no gap {netem.gap} without a reorder"
    else:
        yield from _percent("reorder", netem.reorder, netem.reorder_correlation)
        yield from ("gap", f"{netem.gap:d}") if netem.gap > 1 else ()
    if netem.rate or netem.packet_overhead or netem.cell_size or netem.cell_overhead:
        yield from _rate(netem)
    if netem.slot is not None:
        yield from _slot(netem.slot)
    if netem.seed is not None:
        yield f"#tc 6.1 has no option for the seed; iproute2 6.6 has: seed {netem.seed}"


def _delay(netem: Netem) -> Iterator[str]:
    yield from ("delay", *_ticks(netem.delay, "delay"))
    if netem.jitter or netem.delay_correlation or _is_correlation_omitted(netem):
        yield from _ticks(netem.jitter, "jitter")
        yield from (
            (_share(netem.delay_correlation),) if netem.delay_correlation or _is_correlation_omitted(netem) else ()
        )
    if _is_correlation_omitted(netem):
        yield "#the delay's correlation of 0% makes tc 6.1 send duplicate's correlation too"
    if netem.distribution is not None and netem.distribution != "uniform":  # which is what it draws without a table
        if netem.delay and netem.jitter:
            yield from _table(netem.distribution)
        else:
            yield "#tc accepts no distribution without a delay and a jitter"


def _is_correlation_omitted(netem: Netem) -> bool:
    """Whether tc 6.1 would omit the correlation of duplicate: it does, unless another parameter has one."""
    others = netem.delay_correlation or netem.corrupt_correlation or netem.reorder_correlation
    words = others or (isinstance(netem.loss, RandomLoss) and netem.loss.correlation)
    return bool(netem.duplicate_correlation and not words)


def _ticks(ns: int, what: str) -> Iterator[str]:
    """tc 6.1 keeps a delay and a jitter in 32 bits of 64 ns, truncated to whole microseconds before."""
    if ns >= _MOST_TICKS * 64:
        yield f"#tc 6.1 cannot set a {what} of {Duration(ns).in_one_unit()}: its maximum is 274s"
    elif ns % 1000 or ns % 64:
        yield f"#tc 6.1 rounds the {what} to {ns // 1000 * 1000 // 64 * 64} ns, later versions set {ns:d} ns"
    yield from _time(ns, what)


def _loss(loss: Loss) -> Iterator[str]:
    match loss:
        case RandomLoss(share, correlation):
            yield from _percent("loss", share, correlation)
        case GilbertElliott(p, r, h, k1):
            yield from ("loss", "gemodel", *map(_share, (p, r, U32 - h, k1)))
        case FourState(p13, p31, p32, p23, p14):
            yield from ("loss", "state", *map(_share, (p13, p31, p32, p23, p14)))


def _percent(name: str, share: int, correlation: int) -> Arguments:
    if not share and not correlation:
        return []
    return [name, _share(share), *([_share(correlation)] if correlation else [])]


def _rate(netem: Netem) -> Iterator[str]:
    if netem.rate * 8 > _EXACT:
        yield f"#tc cannot set {netem.rate} bytes per second exactly"
        return
    yield from ("rate", Rate(netem.rate * 8).written())
    yield from (f"{extra:d}" for extra in (netem.packet_overhead, netem.cell_size, netem.cell_overhead))


def _slot(slot: Slot) -> Iterator[str]:
    yield "slot"
    if slot.min_delay or slot.max_delay or slot.distribution is None:
        yield from (*_time(slot.min_delay, "slot"), *_time(slot.max_delay, "slot"))
        yield from ("slot",) if slot.distribution is not None else ()
    if slot.distribution is not None:
        yield from _table(slot.distribution)
        yield from (*_time(slot.dist_delay, "slot"), *_time(slot.dist_jitter, "slot"))
    yield from ("packets", f"{slot.max_packets:d}") if slot.max_packets else ()
    yield from ("bytes", f"{slot.max_bytes:d}") if slot.max_bytes else ()


def _table(table: str | tuple[int, ...]) -> Iterator[str]:
    if isinstance(table, str) and table in _TC_TABLES:
        yield from ("distribution", table)
    elif table == "uniform":
        yield from ("distribution", "uniform")
        yield "#tc needs a file uniform.dist, which iproute2 does not include"
    else:
        yield from ("distribution", "custom")
        yield f"#tc needs the table's {len(table)} values in a file custom.dist in its directory (TC_LIB_DIR)"


def _time(ns: int, what: str) -> Iterator[str]:
    if ns > _EXACT:
        yield f"#tc cannot set the {what} of {ns} ns exactly"
    is_exact = 1000 <= ns < 10**9 or ns % 10**9 == 0
    yield Duration(ns).in_one_unit() if is_exact else f"{ns:d}ns"


def _share(value: int) -> str:
    """The shortest decimal that tc rounds to this: rint(p / 100 * 0xffffffff)."""
    for digits in range(12):
        text = f"{value * 100 / U32:.{digits}f}"
        if round(float(text) / 100 * U32) == value:
            return f"{text}%"
    return f"{value * 100 / U32:.12f}%"


def _flow(flow: Flow) -> Iterator[str]:
    if flow.protocol is not None:
        yield from ("ip_proto", _IP.get(flow.protocol, str(flow.protocol)))
    for key, value in (
        ("src_ip", flow.source),
        ("dst_ip", flow.destination),
        ("src_port", flow.source_port),
        ("dst_port", flow.destination_port),
    ):
        yield from (key, str(value)) if value is not None else ()
    if flow.is_fragment is not None:
        yield from ("ip_flags", "frag" if flow.is_fragment else "nofrag")

"""Formats settings in the syntax of tc(8); `faults.tc_parse` reads it back."""

from __future__ import annotations

from chaoskit.faults.netem import U32
from chaoskit.knobs import (
    Clamp,
    Filter,
    FourState,
    GilbertElliott,
    Loss,
    Mtu,
    Netem,
    Process,
    RandomLoss,
    Route,
    Rule,
    Setting,
    Slot,
    Sysctl,
)
from chaoskit.middlebox import Cut, IdleTimeout
from chaoskit.units import Duration, Rate, Share, Size

_MS = 1_000_000
_FORGOTTEN = {"reset": "reset", "silence": "lost"}
"""What becomes of the packets of a connection that a middlebox has forgotten."""


def format_setting(setting: Setting) -> str:
    """One line, without the seed."""
    match setting:
        case Netem():
            return " ".join(word for word in _netem(setting) if word) or "no effect"
        case Sysctl(value):
            return value
        case Mtu(size):
            return f"mtu {size}"
        case Route():
            sizes = (f"{name} {size}" for name in ("mtu", "advmss") if (size := getattr(setting, name)))
            return " ".join(sizes) or "mtu of its link"
        case Rule(table):
            return f"by table {table}"
        case Clamp(mss):
            return f"mss at most {mss}"
        case Cut():
            limit = Size(setting.bytes) if setting.bytes else Duration(setting.ms * _MS)
            return f"cut after {limit} by {setting.by}"
        case IdleTimeout(by, _, ms):
            return f"forgotten after {Duration(ms * _MS)} of silence: what comes later is {_FORGOTTEN[by]}"
        case Filter(over=over):
            return f"longer than {over}: lost" if over else "lost"
        case Process(state):
            return state
        case None:
            return "as the stage set it"
        case _:
            return setting.type


def _netem(netem: Netem) -> list[str]:
    return [
        _delay(netem),
        _loss(netem.loss) + (" ecn" if netem.ecn else "") if netem.loss else "",
        _chance("duplicate", netem.duplicate, netem.duplicate_correlation),
        _chance("corrupt", netem.corrupt, netem.corrupt_correlation),
        _chance("reorder", netem.reorder, netem.reorder_correlation) + (f" gap {netem.gap}" if netem.gap > 1 else ""),
        _rate(netem) if netem.rate else "",
        _slot(netem.slot) if netem.slot else "",
        f"limit {netem.limit}" if netem.limit != 1000 else "",
    ]


def _delay(netem: Netem) -> str:
    if not netem.delay and not netem.jitter:
        return ""
    words = f"delay {Duration(netem.delay).in_one_unit()}"
    if netem.jitter:
        words += f" {Duration(netem.jitter).in_one_unit()}" + (
            f" {_share(netem.delay_correlation)}" if netem.delay_correlation else ""
        )
    return words + _distribution(netem.distribution)


def _distribution(table: str | tuple[int, ...] | None) -> str:
    if table is None:
        return ""
    return f" distribution {table if isinstance(table, str) else f'of {len(table)} values'}"


def _loss(loss: Loss) -> str:
    match loss:
        case RandomLoss(share, correlation):
            return _chance("loss", share, correlation)
        case GilbertElliott(p, r, h, k1):
            bad = f" {_share(U32 - h)}" if h or k1 else ""
            return f"loss gemodel {_share(p)} {_share(r)}{bad}" + (f" {_share(k1)}" if k1 else "")
        case FourState(p13, p31, p32, p23, p14):
            return "loss state " + " ".join(_share(value) for value in (p13, p31, p32, p23, p14))


def _chance(name: str, share: int, correlation: int) -> str:
    if not share:
        return ""
    return f"{name} {_share(share)}" + (f" {_share(correlation)}" if correlation else "")


def _rate(netem: Netem) -> str:
    extras = (netem.packet_overhead, netem.cell_size, netem.cell_overhead)
    return f"rate {Rate(netem.rate * 8).written()}" + (
        "".join(f" {extra:d}" for extra in extras) if any(extras) else ""
    )


def _slot(slot: Slot) -> str:
    if slot.distribution is not None:
        first, second = slot.dist_delay, slot.dist_jitter
    else:
        first, second = slot.min_delay, slot.max_delay
    bounds = (f" packets {slot.max_packets:d}" if slot.max_packets else "") + (
        f" bytes {slot.max_bytes:d}" if slot.max_bytes else ""  # tc's kb are of 1024
    )
    times = " ".join(Duration(each).in_one_unit() for each in (first, second))
    return f"slot{_distribution(slot.distribution)} {times}{bounds}"


def _share(value: int) -> str:
    return str(Share(round(value * 10**9 / U32)))

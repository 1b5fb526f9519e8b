"""Says what was asked of a fault and what was measured, for people."""

from __future__ import annotations

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import FidelityCheck
from chaoskit.units import counted


def counts(each: FidelityCheck) -> str:
    """What was requested, where that is a number, and what was measured; empty where there is neither."""
    if each.measured is None and each.kind in ("oversized", "icmp-sent", "icmp-lost", "lost", "mss", "mtu"):
        return "not measured"
    if each.verdict == "not-measured" or each.measured is None:
        return f"requested {_requested(each)}" if each.requested is not None else ""
    measured = ("+" if each.kind == "round-trip" else "") + format_value(each.measured, each.unit)
    match each.kind:
        case "loss" | "round-trip" | "rate" | "duplicate":
            return f"requested {_requested(each)}, measured {measured} {_of(each)}"
        case "mss" | "mtu":
            return f"requested at most {_requested(each)}, measured {measured} {_of(each)}"
        case "oversized" | "icmp-sent" | "icmp-lost" | "lost":
            return f"{measured} {_of(each)}"
        case "cut" | "idle-timeout":
            return f"ended {counted(int(each.measured), 'connection')}, dropped {counted(each.samples, 'packet')}"
        case "reorder":
            return f"seen {measured} times {_of(each)}"
        case "corrupt" | "jitter" | "slot" | "ecn" | "process":
            return ""


def _requested(each: FidelityCheck) -> str:
    sign = "+" if each.kind == "round-trip" else ""
    return sign + format_value(each.requested, each.unit) if each.requested is not None else "no fixed share"


def _of(each: FidelityCheck) -> str:
    """On how many of what it was measured."""
    nouns = {"loss": "packet", "round-trip": "handshake", "icmp-lost": "ICMP error", "mss": "connection"}
    nouns |= {"mtu": "connection", "rate": "second", "duplicate": "segment", "reorder": "segment"}
    word = {"mss": "on", "mtu": "on", "rate": "in"}.get(each.kind, "of")
    return f"{word} {counted(each.samples, nouns.get(each.kind, 'packet'))}"

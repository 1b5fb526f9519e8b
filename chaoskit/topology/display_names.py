"""What a knob that faults set is called, for people: by the place in the network, not by the kernel's names."""

from __future__ import annotations

from typing import get_args

from chaoskit.knobs import Knob
from chaoskit.topology import edge
from chaoskit.topology.edge import Direction, Segment
from chaoskit.topology.steering import IFBS, WAYS


def where(knob: Knob) -> str:
    """`client-router down`, `the router's way to the server`, `signals to the client`; of a real interface `down`.

    Both IP versions of the same have the same name, and so have the filters of one direction of an interface.
    """
    link, _, rest = knob.name.partition(" ")
    match knob.kind, knob.place:
        case "qdisc", "":
            return next((way for way, ifb in IFBS.items() if ifb == link), str(knob))
        case "filter", "":
            return next((way for way, hook in WAYS.items() if rest.startswith(hook)), str(knob))
        case "mtu", "":
            return link
        case "route", "router":
            return f"the router's way to the {edge.is_for(knob)}"
        case "filter", "router" if edge.is_mute(knob):
            return f"signals to the {link.removeprefix('to-')}"
        case "clamp", "":
            return "handshakes"
        case "clamp", "router":
            return "handshakes through the router"
        case "mtu", _:
            return f"{_segment(knob)} at the {knob.place}"
        case _:
            return _of_a_link(knob)


def _segment(knob: Knob) -> Segment:
    return next(each for each in get_args(Segment) if (knob.place, knob.name) in edge.ends(each))


def _of_a_link(knob: Knob) -> str:
    directions: tuple[Direction, ...] = ("down", "up")
    for segment in get_args(Segment):
        for direction in directions:
            cuts = (cut for cut, _ in edge.cut(segment, direction, 0))
            if knob in (*edge.qdiscs(segment, direction), *cuts):
                return f"{segment} {direction}"
    return str(knob)

"""Names the knobs that faults set, for people: by the place in the network, not by kernel names."""

from __future__ import annotations

from typing import get_args

from chaoskit.knobs import Knob
from chaoskit.topology import edge
from chaoskit.topology.edge import Direction, Segment
from chaoskit.topology.steering import HOOKS, IFBS


def display_name(knob: Knob) -> str:
    """`client-router down`, `the router's route to the server`, `signals to the client`; on a real interface `down`.

    Knobs that differ in the IP version alone share a name, and so do all filters of one direction of an interface.
    """
    link, _, rest = knob.name.partition(" ")
    match knob.kind, knob.place:
        case "qdisc", "":
            return next((direction for direction, ifb in IFBS.items() if ifb == link), str(knob))
        case "filter", "":
            return next((direction for direction, hook in HOOKS.items() if rest.startswith(hook)), str(knob))
        case "mtu", "":
            return link
        case "route", "router":
            return f"the router's route to the {edge.destination(knob)}"
        case "filter", "router" if edge.drops_too_big(knob):
            return f"signals to the {link.removeprefix('to-')}"
        case "cut" | "idle-timeout", place:
            return "connections through the router" if place else "connections"
        case "clamp", "":
            return "handshakes"
        case "clamp", "router":
            return "handshakes through the router"
        case "mtu", _:
            return f"{_segment(knob)} at the {knob.place}"
        case _:
            return _segment_direction(knob)


def _segment(knob: Knob) -> Segment:
    return next(each for each in get_args(Segment) if (knob.place, knob.name) in edge.ends(each))


def _segment_direction(knob: Knob) -> str:
    directions: tuple[Direction, ...] = ("down", "up")
    for segment in get_args(Segment):
        for direction in directions:
            filters = (knob_ for knob_, _ in edge.drop_oversized(segment, direction, 0))
            if knob in (*edge.qdiscs(segment, direction), *filters):
                return f"{segment} {direction}"
    return str(knob)

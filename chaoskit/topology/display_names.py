"""Names the knobs that faults set, for people: by the place in the network, not by kernel names."""

from __future__ import annotations

from chaoskit.knobs import Knob
from chaoskit.topology.connection_rules import ALL
from chaoskit.topology.lab import EDGE, Topology
from chaoskit.topology.steering import HOOKS, IFBS
from chaoskit.topology.ways import EDGE_WAYS, Way, drops_too_big, sender_of, way_of


def display_name(knob: Knob, topology: Topology | None) -> str:
    """`client-router down`, `to model`, `the router's route to the server`, `signals to the client`; on a real
    interface, which has no topology, `down`.

    Knobs that differ in the IP version alone share a name, and so do all filters of one direction of an interface.
    """
    link, _, rest = knob.name.partition(" ")
    if topology is None:
        return _on_interface(knob, link, rest)
    article = "the " if topology == EDGE else ""
    match knob.kind:
        case "route" | "rule":
            return _route(knob, topology, article)
        case "filter" if drops_too_big(knob):
            return f"signals to {article}{link.removeprefix('to-')}"
        case "clamp":
            return f"handshakes through {article}{knob.place}"
        case "cut" | "idle-timeout":
            return _connections(knob, article)
        case "mtu":
            return _end(knob, topology)
        case "process":
            return f"the program of {article}{knob.place}"
        case _:
            way = way_of(topology, knob)
            return str(knob) if way is None else way_name(way, topology)


def _route(knob: Knob, topology: Topology, article: str) -> str:
    """`the router's route to the server`; of a table for one sender `fabric's routes for model`."""
    if knob.kind == "rule" or " table " in knob.name:
        sender = sender_of(topology, knob)
        return f"{article}{knob.place}'s routes for {article}{sender}"
    way = way_of(topology, knob)
    return f"{article}{knob.place}'s route to {article}{way.to if way is not None else 'the others'}"


def way_name(way: Way, topology: Topology) -> str:
    """`client-router down`; in a service lab `to model`, `from model`, `model to gateway`."""
    if topology == EDGE:
        named = next((f"{link} {one}" for (link, one), each in EDGE_WAYS.items() if each == way), None)
        if named is not None:
            return named
    if way.to is not None and way.from_ is not None:
        return f"{way.from_} to {way.to}"
    return f"to {way.to}" if way.to is not None else f"from {way.from_}"


def _on_interface(knob: Knob, link: str, rest: str) -> str:
    match knob.kind:
        case "qdisc":
            return next((direction for direction, ifb in IFBS.items() if ifb == link), str(knob))
        case "filter":
            return next((direction for direction, hook in HOOKS.items() if rest.startswith(hook)), str(knob))
        case "mtu":
            return link
        case "clamp":
            return "handshakes"
        case "cut" | "idle-timeout":
            return "connections"
        case _:
            return str(knob)


def _connections(knob: Knob, article: str) -> str:
    """`connections through the router`, `connections of model`, `connections between gateway and model`."""
    if knob.name == ALL:
        return f"connections through {article}{knob.place}"
    first, _, second = knob.name.partition(" ")
    return f"connections between {first} and {second}" if second else f"connections of {first}"


def _end(knob: Knob, topology: Topology) -> str:
    """The end of a link: `client-router at the router`, `the link of model at fabric`."""
    here = next(each for each in topology.attachments if knob.place == each.host or knob.name == each.link)
    if topology != EDGE:
        return f"the link of {here.host} at {knob.place}"
    link = next(link for (link, _), way in EDGE_WAYS.items() if here.host in (way.to, way.from_))
    return f"{link} at the {knob.place}"

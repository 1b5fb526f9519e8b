"""Describes where a fault applies: in the edge lab, or to selected traffic of a real interface."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.topology.steering import TrafficSelector


@dataclass(frozen=True)
class Lab:
    """The edge lab, whose client speaks this IP version to the server."""

    ip: int = 4


@dataclass(frozen=True)
class Interface:
    """A real interface, its selected traffic, and the classifier of its filters: "flower" or "u32"."""

    name: str
    selector: TrafficSelector
    classifier: str = "flower"


Site = Lab | Interface

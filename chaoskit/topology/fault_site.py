"""Describes where a fault applies: in a lab, or to selected traffic of a real interface."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.topology.lab import EDGE, Topology
from chaoskit.topology.steering import TrafficSelector


@dataclass(frozen=True)
class Lab:
    """A lab, whose client speaks this IP version to its target."""

    ip: int = 4
    topology: Topology = EDGE


@dataclass(frozen=True)
class Interface:
    """A real interface, its selected traffic, and the classifier of its filters: "flower" or "u32"."""

    name: str
    selector: TrafficSelector
    classifier: str = "flower"


Site = Lab | Interface

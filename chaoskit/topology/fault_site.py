"""What a fault is in force on: a lab of ours, or some of a real interface's traffic."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.topology.steering import Aim


@dataclass(frozen=True)
class Lab:
    """The edge lab, whose client speaks this IP version to the server."""

    ip: int = 4


@dataclass(frozen=True)
class Interface:
    """A real interface, the traffic that is meant, and what its filters are made of: "flower" or "u32"."""

    name: str
    aim: Aim
    classifier: str = "flower"


Site = Lab | Interface

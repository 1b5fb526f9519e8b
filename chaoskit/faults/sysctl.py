"""A kernel parameter of one host of the lab: a fix to try, or a bad default to show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, field_validator

from chaoskit.faults.words import Words
from chaoskit.knobs import Change, Knob, Sysctl
from chaoskit.topology.edge import Node


class SysctlFault(Words):
    """Parameters under `net.` that a network namespace has of its own, set while the fault is in force."""

    node: Node
    sysctl: Annotated[dict[str, str], Field(min_length=1)]

    @field_validator("sysctl")
    @classmethod
    def _of_the_network(cls, words: dict[str, str]) -> dict[str, str]:
        for name in words:
            if not name.startswith("net.") or "/" in name or ".." in name:
                raise ValueError(f"{name!r} is no network parameter; write for example net.ipv4.tcp_mtu_probing")
        return words

    def knobs(self) -> tuple[Knob, ...]:
        """The parameters that it sets."""
        return tuple(Knob("sysctl", self.node, name) for name in self.sysctl)

    def changes(self, limit: int, seed: int) -> tuple[Change, ...]:
        """The settings; queue limits and chance are nothing to a parameter."""
        del limit, seed
        return tuple(zip(self.knobs(), (Sysctl(value) for value in self.sysctl.values()), strict=True))

    def needs(self) -> frozenset[str]:
        """Nothing beyond the lab."""
        return frozenset()

    def roundings(self) -> Iterator[tuple[str, str, str]]:
        """The kernel takes it or refuses it."""
        yield from ()

    def warnings(self) -> Iterator[str]:
        """None."""
        yield from ()

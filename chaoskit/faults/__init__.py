"""Defines the faults of an experiment file, one module each, and compiles them to knobs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from chaoskit.faults.mss_clamp import MssClampFault
from chaoskit.faults.mtu import MtuFault
from chaoskit.faults.netem import NetemFault
from chaoskit.faults.pmtu import PmtuFault
from chaoskit.faults.size_drop import SizeDropFault
from chaoskit.faults.sysctl import SysctlFault
from chaoskit.faults.tunnel import TunnelFault
from chaoskit.knobs import Knob
from chaoskit.topology.fault_site import Site

_BY_KEY = {
    "sysctl": SysctlFault,
    "mtu": MtuFault,
    "pmtu": PmtuFault,
    "size-drop": SizeDropFault,
    "mss-clamp": MssClampFault,
    "tunnel": TunnelFault,
}


def _fault_tag(words: Any) -> str:
    """The tag of the fault, by the key that only this fault has; netem by default, for the sake of its error messages.

    A tag must not be a key of the file: errors are located by keys.
    """
    if isinstance(words, dict):
        keys = (key for key in _BY_KEY if key in words or key.replace("-", "_") in words)
    else:
        keys = (key for key, fault in _BY_KEY.items() if isinstance(words, fault))
    return f"a {next(keys, 'netem')} fault"


Fault = Annotated[
    Annotated[NetemFault, Tag("a netem fault")]
    | Annotated[SysctlFault, Tag("a sysctl fault")]
    | Annotated[MtuFault, Tag("a mtu fault")]
    | Annotated[PmtuFault, Tag("a pmtu fault")]
    | Annotated[SizeDropFault, Tag("a size-drop fault")]
    | Annotated[MssClampFault, Tag("a mss-clamp fault")]
    | Annotated[TunnelFault, Tag("a tunnel fault")],
    Discriminator(_fault_tag),
]


def knobs(fault: Fault, site: Site) -> tuple[Knob, ...]:
    """The knobs that the fault sets at this site."""
    return tuple(knob for knob, _ in fault.changes(site, 1, 0))

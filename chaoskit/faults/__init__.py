"""Defines the faults of an experiment file, one module each, and compiles them to knobs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Tag

from chaoskit.faults.base import FaultBase
from chaoskit.faults.connection_cut import CutFault
from chaoskit.faults.idle_timeout import IdleTimeoutFault
from chaoskit.faults.link_cut import LinkCutFault
from chaoskit.faults.mss_clamp import MssClampFault
from chaoskit.faults.mtu import MtuFault
from chaoskit.faults.netem import NetemFault
from chaoskit.faults.pmtu import PmtuFault
from chaoskit.faults.process import ProcessFault
from chaoskit.faults.size_drop import SizeDropFault
from chaoskit.faults.sysctl import SysctlFault
from chaoskit.faults.tunnel import TunnelFault
from chaoskit.knobs import Knob
from chaoskit.topology.fault_site import Site

_BY_KEY: dict[str, type[FaultBase]] = {
    "sysctl": SysctlFault,
    "mtu": MtuFault,
    "pmtu": PmtuFault,
    "size-drop": SizeDropFault,
    "mss-clamp": MssClampFault,
    "tunnel": TunnelFault,
    "process": ProcessFault,
    "cut": CutFault,
    "idle-timeout": IdleTimeoutFault,
}

_MODELS: tuple[type[FaultBase], ...] = (NetemFault, *_BY_KEY.values())
_WHERE = {field.alias or name for model in _MODELS for name, field in model.model_fields.items()} - {"netem", *_BY_KEY}
"""Keys that say where, not what."""


def _fault_tag(words: Any) -> str:
    """The tag of the fault, by the key that only this fault has; netem by default, for the sake of its error messages.

    A tag must not be a key of the file: errors are located by keys.
    """
    if isinstance(words, LinkCutFault) or (isinstance(words, dict) and words.get("link") == "cut"):
        return "a link cut"
    if isinstance(words, dict):
        keys = (key for key in _BY_KEY if key in words or key.replace("-", "_") in words)
    else:
        keys = (key for key, fault in _BY_KEY.items() if isinstance(words, fault))
    return f"a {next(keys, 'netem')} fault"


def _says_what(words: Any) -> Any:
    """Refuse a fault that says where and not what, and one that says two things."""
    kinds = ("netem", *_BY_KEY)
    if isinstance(words, dict) and words.get("link") == "cut":
        return words
    keys = {str(key).replace("_", "-") for key in words} if isinstance(words, dict) else set(kinds)
    if keys <= _WHERE and not keys & set(kinds):
        cut = "; a cable that is cut is link: cut" if keys & {"host", "between"} else ""
        raise ValueError(f"does not say what is changed; add netem: delay 30ms, or one of {', '.join(_BY_KEY)}{cut}")
    several = [key for key in words if str(key).replace("_", "-") in kinds] if isinstance(words, dict) else []
    if len(several) > 1:
        where = {key: value for key, value in words.items() if key not in several and isinstance(value, str)}
        each = (", ".join([*(f"{name}: {where[name]}" for name in where), f"{key}: ..."]) for key in several)
        faults = ", ".join(f"{{{keys}}}" for keys in each)
        raise ValueError(f"has {' and '.join(several)}; write a fault for each, in a list: [{faults}]")
    return words


_Tagged = Annotated[
    Annotated[NetemFault, Tag("a netem fault")]
    | Annotated[SysctlFault, Tag("a sysctl fault")]
    | Annotated[MtuFault, Tag("a mtu fault")]
    | Annotated[PmtuFault, Tag("a pmtu fault")]
    | Annotated[SizeDropFault, Tag("a size-drop fault")]
    | Annotated[MssClampFault, Tag("a mss-clamp fault")]
    | Annotated[TunnelFault, Tag("a tunnel fault")]
    | Annotated[LinkCutFault, Tag("a link cut")]
    | Annotated[ProcessFault, Tag("a process fault")]
    | Annotated[CutFault, Tag("a cut fault")]
    | Annotated[IdleTimeoutFault, Tag("a idle-timeout fault")],
    Discriminator(_fault_tag),
]
Fault = Annotated[_Tagged, BeforeValidator(_says_what, json_schema_input_type=_Tagged)]


def knobs(fault: Fault, site: Site) -> tuple[Knob, ...]:
    """The knobs that the fault sets at this site."""
    return tuple(knob for knob, _ in fault.changes(site, 1, 0))

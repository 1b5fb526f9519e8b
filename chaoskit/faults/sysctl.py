"""A kernel parameter of one host of the lab: a fix to try, or a bad default to show."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from chaoskit.faults.base import FaultBase
from chaoskit.knobs import Change, Knob, Sysctl
from chaoskit.topology.edge import Node
from chaoskit.topology.fault_site import Interface, Site


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _of_the_network(words: dict[str, str]) -> dict[str, str]:
    for name in words:
        if not name.startswith("net.") or "/" in name or ".." in name:
            raise ValueError(f"{name!r} is no network parameter; write for example net.ipv4.tcp_mtu_probing")
    return words


Value = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | int)]
Parameters = Annotated[dict[str, Value], AfterValidator(_of_the_network)]
"""What parameters under `net.`, which a network namespace has of its own, are set to, by name."""


def sysctl_changes(node: Node, parameters: Parameters) -> tuple[Change, ...]:
    """The same as knobs of that host."""
    return tuple((Knob("sysctl", node, name), Sysctl(value)) for name, value in parameters.items())


class SysctlFault(FaultBase):
    """Parameters of a host of the lab, set while the fault is in force."""

    node: Node
    sysctl: Annotated[Parameters, Field(min_length=1)]

    def site_error(self, site: Site) -> str:
        """Why it cannot be in force there; "" when it can."""
        if not isinstance(site, Interface):
            return ""
        return f"{self.node} is a host of a lab, and a real machine's parameters are left alone"

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The settings; queue limits and chance are nothing to a parameter."""
        del site, limit, seed
        return sysctl_changes(self.node, self.sysctl)

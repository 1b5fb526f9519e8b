"""Defines the sysctl fault: a network parameter of one host of the lab."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from chaoskit.faults.base import FaultBase, HostReference
from chaoskit.faults.schema import suggestion
from chaoskit.knobs import Change, Knob, Sysctl
from chaoskit.topology.fault_site import Interface, Site


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_network_parameters(words: dict[str, str]) -> dict[str, str]:
    for name in words:
        if not name.startswith("net.") or "/" in name or ".." in name:
            raise ValueError(f"{name!r} is no network parameter; write for example net.ipv4.tcp_mtu_probing")
    return words


Value = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str)]
Parameters = Annotated[
    dict[str, Value],
    AfterValidator(_check_network_parameters),
    Field(json_schema_extra={"propertyNames": {"pattern": r"^(?!.*\.\.)net\.[^/]*$"}}),
]
"""Values of parameters under `net.`, which are per network namespace, by name."""


def sysctl_changes(node: str, parameters: Parameters) -> tuple[Change, ...]:
    """The parameters as knobs of that host."""
    return tuple((Knob("sysctl", node, name), Sysctl(value)) for name, value in parameters.items())


class SysctlFault(FaultBase):
    """Parameters of a host of the lab, set while the fault is applied."""

    node: HostReference = Field(description="The host or router whose parameters are set.")
    sysctl: Annotated[Parameters, Field(min_length=1)] = Field(description="Parameters under `net.`, by name.")

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        if not isinstance(site, Interface):
            known = (*site.topology.names, *site.topology.routers)
            return "" if self.node in known else f"{self.node!r} is no host of this lab; {suggestion(self.node, known)}"
        return f"{self.node} is a host of the lab, and the parameters of a real machine are never changed"

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The settings; `limit` and `seed` are unused."""
        del limit, seed
        hosts = [] if isinstance(site, Interface) else [each.host for each in site.topology.members(self.node)]
        return tuple(change for host in hosts or [self.node] for change in sysctl_changes(host, self.sysctl))

"""Defines the tuning of client and server for a whole run: sysctls, routes, segment sizes.

Shows the effect of a remedy, or of a bad default.

| key                   | in a lab                                    | on a real interface (the client's alone) |
|-----------------------|---------------------------------------------|------------------------------------------|
| `sysctl`              | parameters of the host                      | refused: chaoskit does not set them     |
| `route-mtu`, `advmss` | of the host's default routes, IPv4 and IPv6 | refused: chaoskit does not set them     |
| `maxseg`              | TCP_MAXSEG of its sockets                   | the same, of the probe's                 |
| `tcp-keepalive`       | SO_KEEPALIVE and TCP_KEEPIDLE of its sockets | the same                                |
| `congestion-control`  | the parameter of that name                  | TCP_CONGESTION of the probe's sockets    |
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from chaoskit.faults.schema import IPV6_MIN_MTU, SpecModel, error_at, in_unit, text_of
from chaoskit.faults.sysctl import Parameters
from chaoskit.units import Duration

CONGESTION_CONTROL = "net.ipv4.tcp_congestion_control"
_ALGORITHM = re.compile(r"[a-z0-9_-]{1,15}")  # TCP_CA_NAME_MAX of include/net/tcp.h
_SMALLEST_SEGMENT, _LARGEST_SEGMENT = 88, 32_767  # TCP_MIN_MSS and MAX_TCP_WINDOW of include/net/tcp.h
_LONGEST_SILENCE = Duration(32_767 * 10**9)  # MAX_TCP_KEEPIDLE of include/net/tcp.h
_HEADERS = 40  # bytes of IPv4 and TCP without options
_NOT_CHANGED = "chaoskit does not change parameters and routes of a real machine"


def _an_algorithm(name: str) -> str:
    if not _ALGORITHM.fullmatch(name):
        raise ValueError(
            f"found {name[:60]!r}, expected an algorithm: sysctl net.ipv4.tcp_available_congestion_control"
        )
    return name


def _whole_seconds(silence: Duration) -> Duration:
    if not 10**9 <= silence <= _LONGEST_SILENCE or silence % 10**9:
        raise ValueError(f"found {silence}, expected whole seconds, 1s to {_LONGEST_SILENCE}")
    return silence


RouteMtu = Annotated[int, Field(ge=68, le=65_520)]  # RFC 791; the limit of the kernel's fib_metrics
SegmentSize = Annotated[int, Field(ge=_SMALLEST_SEGMENT, le=_LARGEST_SEGMENT)]
Algorithm = Annotated[str, AfterValidator(_an_algorithm), Field(json_schema_extra=text_of(_ALGORITHM.pattern))]


class Host(SpecModel):
    """One end of the connection."""

    sysctl: Parameters = Field(default_factory=dict, description="Network parameters of the host, by name.")
    route_mtu: RouteMtu | None = Field(None, description="MTU of its default routes, bytes.")
    advmss: SegmentSize | None = Field(None, description="MSS that it advertises on its default routes, bytes.")
    maxseg: SegmentSize | None = Field(None, description="TCP_MAXSEG on each of its sockets, bytes.")
    congestion_control: Algorithm | None = Field(None, description="Algorithm of its TCP, for example bbr.")

    @model_validator(mode="after")
    def _one_algorithm(self) -> Host:
        if self.congestion_control is not None and CONGESTION_CONTROL in self.sysctl:
            raise error_at(f"sysctl has {CONGESTION_CONTROL} too; keep one of the two", "congestion-control")
        return self

    @property
    def parameters(self) -> dict[str, str]:
        """All sysctls that are set for it in a lab."""
        chosen = {CONGESTION_CONTROL: self.congestion_control} if self.congestion_control else {}
        return {**self.sysctl, **chosen}

    def mismatch_in_lab(self, ip: str) -> tuple[str, str] | None:
        """A key that does not fit this IP version, and why; None if all fit."""
        if self.route_mtu is None or ip != "6" or self.route_mtu >= IPV6_MIN_MTU:
            return None
        why = f"the stage speaks IPv6, whose smallest MTU is {IPV6_MIN_MTU}; give {IPV6_MIN_MTU} or more, or ip: 4"
        return "route-mtu", f"found {self.route_mtu}, but {why}"


class Client(Host):
    """The client's end of the connection: the probe."""

    tcp_keepalive: Annotated[Duration, in_unit("s"), AfterValidator(_whole_seconds)] | None = Field(
        None, description="SO_KEEPALIVE on each of its sockets: a packet after so long a silence. Linux's default: 2h."
    )

    def mismatch_on_interface(self) -> tuple[str, str] | None:
        """A key that only a lab supports, and what to type instead; None if there is none."""
        for name, value in self.sysctl.items():
            if name != CONGESTION_CONTROL:
                return "sysctl", f"{_NOT_CHANGED}; set it yourself for the run: sudo sysctl -w {name}='{value}'"
        if self.sysctl:
            algorithm = self.sysctl[CONGESTION_CONTROL]
            return "sysctl", f"{_NOT_CHANGED}; for the probe's sockets write congestion-control: {algorithm}"
        if self.route_mtu is not None:
            segment = max(self.route_mtu - _HEADERS, _SMALLEST_SEGMENT)
            return "route-mtu", f"{_NOT_CHANGED}; for the probe's sockets write maxseg: {segment}"
        if self.advmss is not None:
            return "advmss", f"{_NOT_CHANGED}; for the probe's sockets write maxseg: {self.advmss}"
        return None

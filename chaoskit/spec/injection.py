"""Defines the keys of an injection: which traffic of an interface, which faults, for how long.

A file has these keys, the command has them as options, and `chaoskit status --json` prints them.
A fault is written as in tc(8), `delay 80ms 20ms loss 1%`, or as in an experiment, `{delay: 80ms, loss: 1%}`.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from chaoskit.faults.connection_cut import CutFault, CutInput
from chaoskit.faults.idle_timeout import IdleTimeoutFault, IdleTimeoutInput
from chaoskit.faults.netem import NetemInput
from chaoskit.faults.schema import Flag, MtuBytes, SegmentBytes, SpecModel, error_at, given, in_unit, text_of
from chaoskit.spec.network_namespace import NamespaceChoice
from chaoskit.topology.steering import OneDirection
from chaoskit.units import Duration

_NAME = re.compile(r"(?!-)(?=.*[A-Za-z])[A-Za-z0-9_.-]{1,253}")  # without a letter it is a mistyped address
_INTERFACE = re.compile(r"(?!\.{1,2}$)[^\s/:]{1,15}")
_SHORTEST, _LONGEST = Duration(10**9), Duration(30 * 86_400 * 10**9)
Port = Annotated[int, Field(ge=1, le=65535)]


class To(SpecModel):
    """The remote end of the selected traffic: a host name, an address or a CIDR, and a port."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [given("host"), given("port")]})

    host: str | None = Field(None, description="Name, address or CIDR.")
    port: Port | None = Field(None, description="Its port.")

    @model_validator(mode="after")
    def _is_selected(self) -> To:
        if self.host is None and self.port is None:
            raise ValueError("empty; give a host, a port or both")
        if self.host is not None and not self.is_prefix and not _NAME.fullmatch(self.host):
            raise ValueError(f"{self.host!r} is no host; write for example api.example.com:443 or 10.0.0.0/8")
        return self

    @property
    def is_prefix(self) -> bool:
        """Whether the host is an address or a CIDR, which needs no lookup."""
        try:
            ip_network(self.host or "", strict=False)
        except ValueError:
            return False
        return "%" not in (self.host or "")

    @property
    def name(self) -> str | None:
        """The host name to look up, if it is one."""
        return None if self.host is None or self.is_prefix else self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.host and ":" in self.host and self.port else self.host or ""
        return host + (f":{self.port}" if self.port else "")


def _to(words: Any) -> Any:
    """`HOST`, `HOST:PORT`, `[IPV6]:PORT`, `CIDR`, `:PORT`."""
    if not isinstance(words, str):
        return words
    if "://" in words:
        raise ValueError(f"{words!r} is a URL; write its host and port, for example api.example.com:443")
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(.+))?", words)
    if bracketed:
        host, port = bracketed.groups()
    elif words.count(":") == 1:
        host, port = words.split(":")
    else:
        host, port = words, None
    if not host and not port:
        raise ValueError("empty; write for example api.example.com:443, 10.0.0.0/8 or :443")
    if port == "":
        raise ValueError(f"{words!r} ends in a colon; write the port after it, or remove it")
    return {"host": host or None, "port": port}


def _interface(name: str) -> str:
    if not _INTERFACE.fullmatch(name):
        raise ValueError(f"found {name!r}, expected an interface, for example eth0 (ip link shows them)")
    return name


def _listed(words: Any) -> Any:
    return [words] if isinstance(words, str | dict) else words


Interface = Annotated[
    str,
    AfterValidator(_interface),
    Field(json_schema_extra={**text_of(_INTERFACE.pattern), "examples": ["eth0"]}),
]
WrittenTo = Annotated[To, BeforeValidator(_to, json_schema_input_type=To | str)]


class TrafficMatch(NamespaceChoice):
    """Selects traffic of an interface. A packet must match every key that is given."""

    to: Annotated[tuple[WrittenTo, ...], BeforeValidator(_listed, json_schema_input_type=To | str | list[To | str])] = (
        Field(
            (), description="Remote end: host, address or CIDR, with or without a port; a packet matches any of them."
        )
    )
    local_port: Port | None = Field(None, description="Local port, of a server on this machine.")
    protocol: Literal["tcp", "udp", "icmp"] | None = Field(
        None, description="Only packets of this protocol are affected."
    )
    ip: Literal["4", "6"] | None = Field(None, description="Only packets of this IP version are affected.")
    everything: Flag = Field(False, description="All traffic of the interface: ARP, DNS and your ssh session as well.")

    @model_validator(mode="after")
    def _is_selected(self) -> TrafficMatch:
        is_narrowed = self.to or self.local_port or self.protocol or self.ip
        if self.everything and is_narrowed:
            raise ValueError("`everything` is all traffic of the interface; remove the other selectors")
        if not self.everything and not is_narrowed:
            raise ValueError("no traffic selected; give for example `to: api.example.com:443`, or `everything: true`")
        has_ports = self.local_port or any(to.port for to in self.to)
        if self.protocol == "icmp" and has_ports:
            raise ValueError("icmp has no ports; remove the port or the protocol")
        return self


class Injection(TrafficMatch):
    """A fault on a real interface, for a limited time."""

    interface: Interface | None = Field(None, description="Default: the interface of the route to the remote end.")
    down: NetemInput | None = Field(None, description="Fault on received packets.")
    up: NetemInput | None = Field(None, description="Fault on sent packets.")
    size_drop_down: MtuBytes | None = Field(
        None, description="Received packets longer than this are dropped; bytes, from the IP header on."
    )
    size_drop_up: MtuBytes | None = Field(None, description="Sent packets longer than this are dropped.")
    mss_clamp: SegmentBytes | None = Field(
        None, description="The MSS in TCP handshakes of both directions is lowered to this, bytes."
    )
    cut: CutInput | None = Field(
        None, description="TCP connections end after received bytes or a time: `1kB`, `2s by silence`."
    )
    idle_timeout: IdleTimeoutInput | None = Field(
        None, description="Silent TCP connections are forgotten: `60s`, `350s by reset`."
    )
    for_: Annotated[Duration, in_unit("s")] = Field(
        description="The lease: everything is restored when it expires, even after a crash."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="The same losses again.")
    allow_management_interface: Flag = Field(
        False, description="The fault may hit your ssh session, the gateway, DNS and the like; then 60s at most."
    )

    @property
    def size_drops(self) -> dict[OneDirection, int]:
        """The longest packet that passes, for each direction with a limit."""
        sizes: dict[OneDirection, int | None] = {"down": self.size_drop_down, "up": self.size_drop_up}
        return {way: size for way, size in sizes.items() if size is not None}

    @property
    def steers(self) -> bool:
        """Whether filters redirect or drop packets."""
        return self.up is not None or self.down is not None or bool(self.size_drops)

    @property
    def ended(self) -> tuple[CutFault | IdleTimeoutFault, ...]:
        """What ends connections."""
        cut = (CutFault(cut=self.cut),) if self.cut is not None else ()
        return (*cut, *((IdleTimeoutFault(idle_timeout=self.idle_timeout),) if self.idle_timeout is not None else ()))

    @model_validator(mode="after")
    def _has_a_fault(self) -> Injection:
        of_tcp = [key for key in ("mss_clamp", "cut", "idle_timeout") if getattr(self, key) is not None]
        if not self.steers and not of_tcp:
            raise ValueError("nothing to do; give `down` or `up`, for example `down: delay 80ms 20ms loss 1%`")
        if of_tcp and self.protocol not in (None, "tcp"):
            name = of_tcp[0].replace("_", "-")
            raise error_at(f"{name} needs TCP, and only {self.protocol} is selected; write tcp", "protocol")
        if not _SHORTEST <= self.for_ <= _LONGEST:
            raise error_at(f"{self.for_} is out of bounds; a lease lasts {_SHORTEST} to {_LONGEST} (30 days)", "for")
        if self.interface is None and not any(to.host for to in self.to):
            raise ValueError("no interface; give for example `interface: eth0` or `to: api.example.com:443`")
        return self

"""Defines where an experiment runs: in a lab network, or on a real interface towards an endpoint."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    field_validator,
    model_validator,
)

from chaoskit.faults.schema import Flag, SpecModel, bounded, error_at, suggestion
from chaoskit.spec.access import Access
from chaoskit.spec.endpoint import redacted, secret_in
from chaoskit.spec.hosts import MOST_HOSTS, HostName, ServiceHost
from chaoskit.spec.injection import Interface, To, TrafficMatch
from chaoskit.spec.tier_places import check_places
from chaoskit.tiers.endpoints import PORT
from chaoskit.topology.lab import CLIENT, EDGE, Topology, duplicate_names, service
from chaoskit.units import Size

_PORTS = {"http": 80, "https": 443}


class EdgeStage(SpecModel):
    """A network that chaoskit builds, with its own server in it."""

    lab: Literal["edge"] = Field(description="A network that chaoskit builds: client - router - server.")
    ip: Literal["4", "6"] = Field("4", description="IP version of the client's connections.")
    tls: Flag = Field(False, description="The server uses TLS, with a certificate chain that the probe trusts.")

    @property
    def topology(self) -> Topology:
        """Its network."""
        return EDGE


Memory = Annotated[Size, bounded(Size(256 * 10**6), Size(64 * 10**9), "no guest needs so much")]


def lab_target(target: str) -> str:
    """A URL within a lab. Raises ValueError."""
    url = _split(target)
    if url is None or url.scheme not in _PORTS:
        raise ValueError(f"found {target[:60]!r}, expected a URL such as http://gateway:8080/v1/chat/completions")
    return target


_USUAL_HOSTS = 3
_USUAL_MEMORY, _HOST_MEMORY = 512 * 2**20, 96 * 2**20  # bytes: of a guest, of a host that runs Python


class ServiceStage(Access):
    """A network with hosts that run programs of yours: client - edge - fabric - each host on a link of its own.

    The keys of `Access` say how the client asks the target.
    """

    lab: Literal["service"] = Field(description="A network with hosts of yours.")
    hosts: Annotated[dict[HostName, ServiceHost], Field(min_length=1, max_length=MOST_HOSTS)] = Field(
        description="By name: their programs. Names resolve inside."
    )
    target: Annotated[str, AfterValidator(lab_target)] = Field(
        description="URL that the client asks; its host is one of `hosts`. Without a path the protocol's usual one."
    )
    ip: Literal["4", "6"] = Field("4", description="IP version of the client's connections.")
    memory: Memory | None = Field(
        None,
        description="Memory of its guest, if any. Default: 512 MiB, and 96 MiB for each host after the third.",
    )
    _folder: str = PrivateAttr("")

    @property
    def guest_memory(self) -> Size | None:
        """What the file says, or what many hosts need beyond a guest's usual memory; None: that is enough."""
        more = sum(host.replicas for host in self.hosts.values()) - _USUAL_HOSTS
        return self.memory if self.memory is not None or more <= 0 else Size(_USUAL_MEMORY + more * _HOST_MEMORY)

    @property
    def folder(self) -> str:
        """The experiment file's folder, in which programs are started; an absolute path."""
        return self._folder or str(Path.cwd())

    def in_folder(self, folder: str) -> ServiceStage:
        """The same, of a file in this folder."""
        found = self.model_copy()
        found._folder = folder
        return found

    @property
    def topology(self) -> Topology:
        """Its network."""
        return service({name: host.replicas for name, host in self.hosts.items()})

    @property
    def access(self) -> Access:
        """How the client asks the target."""
        return Access(**{name: getattr(self, name) for name in Access.model_fields})

    @property
    def references(self) -> tuple[str, ...]:
        """The hosts that are the reference server."""
        return tuple(name for name, host in self.hosts.items() if host.reference is not None)

    @property
    def target_host(self) -> str:
        """The name of the host that the client asks."""
        return urlsplit(self.target).hostname or ""

    @model_validator(mode="after")
    def _names_are_known(self) -> ServiceStage:
        counts = {name: host.replicas for name, host in self.hosts.items()}
        if self.proxy is not None:
            raise error_at("the target of a lab is asked directly; make the proxy a host, and the target", "proxy")
        if collisions := duplicate_names(counts):
            raise error_at(f"{collisions[0]} is also a replica of another host; rename it", "hosts", collisions[0])
        if sum(counts.values()) > MOST_HOSTS:
            raise error_at(f"{sum(counts.values())} hosts with their replicas; a lab has at most {MOST_HOSTS}", "hosts")
        names = self.topology.names
        known = [name for name in names if name != CLIENT]
        if self.target_host not in known:
            is_client = self.target_host == CLIENT
            found = "the client is the probe itself" if is_client else f"{self.target_host!r} is no host of this lab"
            hint = f"name another host, of {', '.join(known)}" if is_client else suggestion(self.target_host, known)
            raise error_at(f"{found}; {hint}", "target")
        if wrong := self.wrong_port(self.target):
            raise error_at(wrong, "target")
        for name, called in ((name, each) for name, host in self.hosts.items() for each in host.calls):
            if called not in names and called not in self.hosts:
                hint = suggestion(called, list(self.hosts))
                raise error_at(f"{called!r} is no host of this lab; {hint}", "hosts", name, "calls")
        check_places(self.hosts)
        return self

    def wrong_port(self, target: str) -> str:
        """That a host of chaoskit's own does not listen where this URL asks; "" where it does, or nobody knows."""
        url = urlsplit(target)
        host = self.hosts.get(
            next((n for n, m in self.topology.groups.items() if url.hostname in m), url.hostname or "")
        )
        if host is None or host.run is not None or url.port == PORT:
            return ""
        return f"{url.hostname} listens on {PORT} alone; write {url.scheme}://{url.hostname}:{PORT}{url.path}"


class InterfaceStage(TrafficMatch, Access):
    """A real interface of this machine, and an endpoint that the probe measures through it.

    The keys of `TrafficMatch` select the traffic that the faults apply to. Default: TCP to and from the target, or its
    proxy. Those of `Access` say how the endpoint is reached.
    """

    target: str = Field(
        description="The endpoint's URL; without a path the protocol's usual one.",
        json_schema_extra={"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://[^/?#]"},
    )
    interface: Interface | None = Field(None, description="Default: the interface of the route to the target.")
    allow_management_interface: Flag = Field(
        False, description="The faults may hit your ssh session, the gateway, DNS and the like."
    )

    @model_validator(mode="before")
    @classmethod
    def _at_the_target(cls, words: Any) -> Any:
        """Select all addresses of the target, or its proxy, where the file selects nothing."""
        if not isinstance(words, dict) or any(words.get(key) for key in ("to", "local-port", "local_port")):
            return words
        proxy = words.get("proxy")
        if isinstance(proxy, dict) and "env" in proxy and "everything" not in words:
            raise error_at("the traffic to this proxy is not known: add to: HOST:PORT of the proxy", "proxy")
        url = _split(proxy.get("value") if isinstance(proxy, dict) else proxy or words.get("target"))
        if url is None or "everything" in words:
            return words
        far_end = {"host": url.hostname, "port": _port(url)}
        return {"protocol": "tcp"} | words | {"to": [far_end]}

    @field_validator("target")
    @classmethod
    def _an_endpoint(cls, target: str) -> str:
        url = _split(target)
        if secret := secret_in(target):
            raise ValueError(
                f"this URL has {secret}; remove it, and give the key's environment variable with `key-env`"
            )
        if url is None or url.scheme not in _PORTS:
            raise ValueError(f"found {redacted(target)[:60]!r}, expected a URL such as https://api.example.com/v1")
        return target

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the interface must lead to: name, address or CIDR. That of the connections is the first."""
        connected = () if self.proxy and not self.proxy_host else (self.connected_host,)
        return tuple(dict.fromkeys((*connected, *(to.host for to in self.to if to.host))))

    @property
    def access(self) -> Access:
        """How the endpoint is reached."""
        return Access(**{name: getattr(self, name) for name in Access.model_fields})

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts whose addresses have to be looked up."""
        return tuple(host for host in self.hosts if To(host=host).name)

    @property
    def connected_host(self) -> str:
        """Name or address that connections go to: the target's, or that of a proxy; "" where only a variable has it."""
        if self.proxy is None:
            return urlsplit(self.target).hostname or ""
        return self.proxy_host[0] if self.proxy_host else ""


def _split(url: Any) -> SplitResult | None:
    """The parts of a URL that has a host; None when it has none."""
    try:
        split = urlsplit(url) if isinstance(url, str) else None
        return split if split is not None and split.hostname and split.port != 0 else None
    except ValueError:
        return None


def _port(url: SplitResult) -> int | None:
    return url.port or _PORTS.get(url.scheme)


def _not_both(words: Any) -> Any:
    if isinstance(words, dict) and words.get("lab") == "edge" and "target" in words:
        raise ValueError("this lab has its own server, and a target is a real one; remove lab or target")
    if isinstance(words, dict) and not words:
        raise ValueError(
            "empty; write lab: edge to build a network, or lab: service, or target: URL for a real endpoint"
        )
    return words


def _stage_tag(words: Any) -> str:
    """The kind of stage, from its keys or the keys that they resemble."""
    if not isinstance(words, dict):
        kinds: dict[type, str] = {InterfaceStage: "an interface", ServiceStage: "a service lab"}
        return next((tag for kind, tag in kinds.items() if isinstance(words, kind)), "a lab")
    if "hosts" in words or difflib.get_close_matches(str(words.get("lab")), ["edge", "service"], 1) == ["service"]:
        return "a service lab"
    own = [field.alias or name for name, field in InterfaceStage.model_fields.items() if name != "ip"]
    near = [key for written in words for key in difflib.get_close_matches(str(written), ["lab", *own], 1)]
    return "an interface" if near and "lab" not in near else "a lab"


Stage = Annotated[
    Annotated[EdgeStage, Tag("a lab")]
    | Annotated[ServiceStage, Tag("a service lab")]
    | Annotated[InterfaceStage, Tag("an interface")],
    Discriminator(_stage_tag),
    BeforeValidator(_not_both, json_schema_input_type=EdgeStage | ServiceStage | InterfaceStage),
]

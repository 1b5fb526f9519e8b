"""Defines where an experiment runs: in a lab network, or on a real interface towards an endpoint."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from chaoskit.faults.schema import Flag, SpecModel
from chaoskit.spec.endpoint import redacted, secret_in
from chaoskit.spec.injection import Interface, To, TrafficMatch

_PORTS = {"http": 80, "https": 443}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Variable = Annotated[str, Field(json_schema_extra={"type": "string", "pattern": f"^{_VARIABLE.pattern}$"})]


class LabStage(SpecModel):
    """A network that chaoskit builds, with its own server in it."""

    lab: Literal["edge"] = Field(description="A network that chaoskit builds: client - router - server.")
    ip: Literal["4", "6"] = Field("4", description="IP version of the client's connections.")
    tls: Flag = Field(False, description="The server uses TLS, with a certificate chain that the probe trusts.")


class InterfaceStage(TrafficMatch):
    """A real interface of this machine, and an endpoint that the probe measures through it.

    The keys of `TrafficMatch` select the traffic that the faults apply to. Default: TCP to and from the target.
    """

    target: str = Field(
        description="The endpoint's URL; without a path the protocol's usual one.",
        json_schema_extra={"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://[^/?#]"},
    )
    interface: Interface | None = Field(None, description="Default: the interface of the route to the target.")
    model: str = Field("default", description="Model to request.")
    key_env: Variable | None = Field(None, description="The name of the environment variable that holds the API key.")
    allow_management_interface: Flag = Field(
        False, description="The faults may hit your ssh session, the gateway, DNS and the like."
    )

    @model_validator(mode="before")
    @classmethod
    def _at_the_target(cls, words: Any) -> Any:
        """Select all addresses of the target where the file selects nothing."""
        if not isinstance(words, dict) or any(words.get(key) for key in ("to", "local-port", "local_port")):
            return words
        url = _split(words.get("target"))
        if url is None or "everything" in words:
            return words
        far_end = {"host": url.hostname, "port": _port(url)}
        return {"protocol": "tcp"} | words | {"to": [far_end]}

    @field_validator("target")
    @classmethod
    def _an_endpoint(cls, target: str) -> str:
        url = _split(target)
        if secret := secret_in(target):
            raise ValueError(f"this URL has {secret}; remove it, and give the key's environment variable with key-env")
        if url is None or url.scheme not in _PORTS:
            raise ValueError(f"found {redacted(target)[:60]!r}, expected a URL such as https://api.example.com/v1")
        return target

    @field_validator("key_env")
    @classmethod
    def _a_name(cls, name: str | None) -> str | None:
        """Require a variable name. The value may be the key itself, so the message does not repeat it."""
        if name is not None and not _VARIABLE.fullmatch(name):
            raise ValueError("not the name of an environment variable; write for example OPENAI_API_KEY, never the key")
        return name

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the interface must lead to: name, address or CIDR. The target's host is the first."""
        return tuple(dict.fromkeys((self.target_host, *(to.host for to in self.to if to.host))))

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts whose addresses have to be looked up."""
        return tuple(host for host in self.hosts if To(host=host).name)

    @property
    def target_host(self) -> str:
        """Host name or address of the target."""
        return urlsplit(self.target).hostname or ""

    @property
    def target_port(self) -> int:
        """The port that the target's server listens at."""
        return _port(urlsplit(self.target)) or 0


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
    if isinstance(words, dict) and "lab" in words and "target" in words:
        raise ValueError("a lab has its own server, and a target is a real one; remove lab or target")
    if isinstance(words, dict) and not words:
        raise ValueError("empty; write lab: edge to build a network, or target: URL for a real endpoint")
    return words


def _stage_tag(words: Any) -> str:
    """The kind of stage, from its keys or the keys that they resemble."""
    if not isinstance(words, dict):
        return "an interface" if isinstance(words, InterfaceStage) else "a lab"
    own = [field.alias or name for name, field in InterfaceStage.model_fields.items() if name != "ip"]
    near = [key for written in words for key in difflib.get_close_matches(str(written), ["lab", *own], 1)]
    return "an interface" if near and "lab" not in near else "a lab"


Stage = Annotated[
    Annotated[LabStage, Tag("a lab")] | Annotated[InterfaceStage, Tag("an interface")],
    Discriminator(_stage_tag),
    BeforeValidator(_not_both, json_schema_input_type=LabStage | InterfaceStage),
]

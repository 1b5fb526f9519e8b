"""Defines the hosts of a service lab: the programs that run on them, and when these are ready.

A host runs one command of the user's, the reference server, or another tier of chaoskit's. Nothing here looks at the
machine, except that paths are taken relative to the experiment file.
"""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from chaoskit.faults.schema import SpecModel, bounded, exactly_one
from chaoskit.spec.access import Variable
from chaoskit.spec.endpoint import holds_key
from chaoskit.spec.host_timers import Calls, Timers
from chaoskit.spec.host_tuning import Host
from chaoskit.spec.injection import Port
from chaoskit.spec.server import HOUR, Responses
from chaoskit.spec.tiers import GatewayHost, WrittenPolicy, WrittenRetrieval, WrittenTool
from chaoskit.topology.lab import RESERVED_NAMES
from chaoskit.units import Duration

_HOST_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, and it begins with a letter
_HTTP = re.compile(r":([0-9]{1,5})(/[\x21-\x7e]*)?")
_READY = Duration(30 * 10**9)
_STOP = Duration(5 * 10**9)
MOST_HOSTS, MOST_REPLICAS = 100, 32
TIERS = ("gateway", "policy", "retrieval", "tool")
"""The keys of hosts that are tiers of chaoskit's."""
Patience = Annotated[Duration, bounded(Duration(10**6), HOUR, "a run would seem to hang")]


def _host_name(name: str) -> str:
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a host; use lower-case letters, digits and -")
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is a part of every lab; choose another name")
    return name


HostName = Annotated[str, AfterValidator(_host_name), Field(json_schema_extra={"pattern": f"^{_HOST_NAME.pattern}$"})]


def _http(words: str) -> str:
    found = _HTTP.fullmatch(words)
    if found is None or not 0 < int(found[1]) < 65536:
        raise ValueError(f"found {words[:60]!r}, expected a port and a path, for example :8080/healthz")
    return words


class Ready(SpecModel):
    """What shows that a program is ready."""

    model_config = exactly_one("tcp", "http", "output")

    tcp: Port | None = Field(None, description="It accepts connections on this port.")
    http: (
        Annotated[
            str, AfterValidator(_http), Field(json_schema_extra={"type": "string", "pattern": f"^{_HTTP.pattern}$"})
        ]
        | None
    ) = Field(None, description="It answers 2xx or 3xx to a GET of this port and path, for example `:8080/healthz`.")
    output: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        None, description="It prints a line that contains this text."
    )
    within: Patience = Field(_READY, description="How long that may take.")

    @model_validator(mode="after")
    def _one_sign(self) -> Ready:
        if [self.tcp, self.http, self.output].count(None) != 2:
            raise ValueError("give one of tcp (a port), http (a port and a path) and output (a text that it prints)")
        return self

    def __str__(self) -> str:
        if self.tcp is not None:
            return f"listens on port {self.tcp}"
        return f"answers GET {self.http}" if self.http is not None else f"prints {self.output!r}"


def _ready(words: Any) -> Any:
    """`6333` and `:8080/healthz` in short."""
    match words:
        case int() | str() if str(words).isdigit():
            return {"tcp": words}
        case str() if words.startswith(":"):
            return {"http": words}
        case str():
            raise ValueError(
                f"found {words[:60]!r}, expected a port (8080), a port and a path (:8080/healthz), or {{output: TEXT}}"
            )
        case _:
            return words


_HttpPath = Annotated[str, Field(pattern=f"^{_HTTP.pattern}$")]
WrittenReady = Annotated[Ready, BeforeValidator(_ready, json_schema_input_type=Ready | Port | _HttpPath)]


def _command(words: Any) -> Any:
    """A shell line, or the words of a command."""
    if isinstance(words, str):
        if not words.strip():
            raise ValueError("empty; write a command, for example python -m my_gateway --port 8080")
        return ("/bin/sh", "-c", words)
    return words


Command = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_command, json_schema_input_type=str | list[str]),
    Field(min_length=1, max_length=1000),
]


def _plain(value: str) -> str:
    if holds_key(value):
        raise ValueError("what looks like a key; put it into an environment variable of yours, and name it in env-from")
    return value


_Value = Annotated[str, AfterValidator(_plain)]


def _below(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"{path!r} is outside of the experiment's folder; copy it there, or mount a rootfs")
    return path


File = Annotated[str, Field(min_length=1), AfterValidator(_below)]


def _true_or_responses(words: Any) -> Any:
    if words in (True, "true", None):
        return {}
    if words in (False, "false"):
        raise ValueError("a host without a server needs run: COMMAND; write reference: true, or run")
    return words


Reference = Annotated[Responses, BeforeValidator(_true_or_responses, json_schema_input_type=Responses | bool)]


class ServiceHost(Host):
    """A host of a service lab: its program, or the reference server, and the tuning of its network."""

    model_config = exactly_one("run", "reference", *TIERS)

    run: Command | None = Field(None, description="A shell line, or a list of words; started in the file's folder.")
    reference: Reference | None = Field(
        None, description="The reference server on port 8000: `true`, or how it responds. Default: as `server:` says."
    )
    gateway: GatewayHost | None = Field(None, description="A gateway that runs workflows of other hosts.")
    policy: WrittenPolicy | None = Field(None, description="A host that allows or denies requests: `true`, or how.")
    retrieval: WrittenRetrieval | None = Field(None, description="A host that looks up results: `true`, or how.")
    tool: WrittenTool | None = Field(None, description="A host with tools: `true`, or how they work.")
    ready: WrittenReady | None = Field(None, description="When it is ready. Default: when it listens on a TCP port.")
    env: dict[Variable, _Value] = Field(default_factory=dict, description="Variables of its environment.")
    env_from: tuple[Variable, ...] = Field((), description="Variables of yours that it gets, by name.")
    files: tuple[File, ...] = Field((), description="Files that it needs, beside the experiment's; read-only.")
    replicas: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] = Field(
        1, description="Several of them, NAME-1, NAME-2 and so on; NAME resolves to all."
    )
    timers: Timers | None = Field(
        None,
        description="What it waits for when it calls other hosts. Those of nginx, HAProxy, Envoy, Caddy and "
        "LiteLLM are read from their files.",
    )
    calls: Calls = Field(
        default_factory=dict,
        description="Hosts that it calls in turn, where no file of a known proxy says so: a list, or timers by name.",
    )
    rootfs: str | None = Field(None, description="A directory that is its root, for example of docker export.")
    stop_after: Patience = Field(_STOP, description="From SIGTERM to SIGKILL when it is stopped.")

    @model_validator(mode="after")
    def _one_program(self) -> ServiceHost:
        found = [key for key in ("run", "reference", *TIERS) if getattr(self, key) is not None]
        if len(found) != 1:
            raise ValueError(
                f"one host has one of {' and '.join(found)}; give each a host of its own"
                if found
                else "give run: COMMAND, reference: true for chaoskit's own server, or one of its tiers: "
                + ", ".join(TIERS)
            )
        if self.run is None:
            own = [
                key for key in ("ready", "env", "env_from", "files", "timers", "calls", "rootfs") if getattr(self, key)
            ]
            if own:
                what = "the reference server" if self.reference is not None else f"chaoskit's own {found[0]}"
                raise ValueError(f"{own[0].replace('_', '-')} belongs to a command, and this is {what}")
        return self

    @property
    def tier(self) -> str | None:
        """Which of the tiers it is; None for a command and the reference server."""
        return next((key for key in TIERS if getattr(self, key) is not None), None)

    @property
    def shown(self) -> str:
        """Its command, as people type it, or what of chaoskit's own runs there."""
        if self.run is None:
            return "the reference server" if self.tier is None else f"chaoskit's {self.tier}"
        return self.run[2] if self.run[:2] == ("/bin/sh", "-c") and len(self.run) == 3 else shlex.join(self.run)

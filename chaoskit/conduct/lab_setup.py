"""Defines what a lab is built from, as plain data that a guest reads without loading pydantic.

It goes into a guest as a pickle, in a folder that only the user who starts the guest can write; the environments of its
hosts, which may hold secrets, go there apart.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chaoskit.conduct.hosts.program import HostProgram, Sign, environment
from chaoskit.knobs import Change, Knob
from chaoskit.server.schedule import Script
from chaoskit.tiers.settings import TierSettings
from chaoskit.topology.lab import SERVER, Topology

if TYPE_CHECKING:  # plans load pydantic, which takes a third of a second in a guest
    from chaoskit.planning.model import Plan, PlannedHost

PORT = 8000
"""Of the reference server."""


@dataclass(frozen=True)
class ReferenceHost:
    """A host with the reference server: what it does, its sockets' MSS, whether it uses TLS, and records spans."""

    name: str
    script: Script
    maxseg: int | None
    has_tls: bool
    records_spans: bool


@dataclass(frozen=True)
class TierHost:
    """A host with another tier of chaoskit's: what it does, and its sockets' MSS."""

    name: str
    settings: TierSettings
    maxseg: int | None


@dataclass(frozen=True)
class LabSetup:
    """A lab: the URL that clients ask, its hosts, and the changes of its stage and its first phase.

    `etc_hosts` is the content of every host's /etc/hosts, the client's included; `asked` are the hosts with programs
    that clients ask, and their ports. `ends` are knobs of the first phase that are put back, after so many ns.
    """

    target: str
    references: tuple[ReferenceHost, ...]
    tiers: tuple[TierHost, ...]
    programs: tuple[HostProgram, ...]
    etc_hosts: str
    asked: tuple[tuple[str, int], ...]
    stage: tuple[Change, ...]
    phase: tuple[Change, ...]
    ends: tuple[tuple[int, Knob], ...]

    @classmethod
    def of(cls, plan: Plan, variables: Mapping[str, str] = os.environ) -> LabSetup:
        """The lab of a plan; hosts take from `variables` what their `env-from` names. Raises SpecError."""
        stage, phase = (
            tuple((change.knob, change.setting) for change in changes)
            for changes in (plan.stage, plan.phases[0].changes)
        )
        names = etc_hosts(plan.topology)
        programs = (_program(host, plan, names, variables) for host in plan.hosts if host.spec.run is not None)
        return cls(
            target=plan.target,
            references=tuple(_references(plan)),
            tiers=tuple(_tiers(plan)),
            programs=tuple(programs),
            etc_hosts=names,
            asked=tuple(_asked(plan)),
            stage=stage,
            phase=phase,
            ends=plan.phases[0].ends,
        )

    @property
    def environments(self) -> dict[str, dict[str, str]]:
        """Those of its hosts, by name."""
        return {program.name: dict(program.environment) for program in self.programs}

    def pickled(self) -> bytes:
        """For `unpickled`, without the environments."""
        programs = tuple(replace(program, environment={}) for program in self.programs)
        return pickle.dumps(replace(self, programs=programs))

    @staticmethod
    def unpickled(data: bytes, environments: Mapping[str, dict[str, str]]) -> LabSetup:
        """From the bytes of `pickled`, which must come from chaoskit itself."""
        setup = pickle.loads(data)
        assert isinstance(setup, LabSetup)
        programs = (replace(program, environment=environments[program.name]) for program in setup.programs)
        return replace(setup, programs=tuple(programs))


def etc_hosts(topology: Topology) -> str:
    """The names of all hosts with their addresses, IPv4 before IPv6; replicas share the name of their group."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    groups = {member: group for group, members in topology.groups.items() for member in members}
    for attachment in topology.attachments:
        names = " ".join(filter(None, (attachment.host, groups.get(attachment.host))))
        lines += [f"{net.host} {names}" for net in attachment.nets.values()]
    return "\n".join(lines) + "\n"


def _asked(plan: Plan) -> Iterator[tuple[str, int]]:
    """The programs that the workloads ask, each host and port once."""
    found = dict[tuple[str, int], None]()
    for target in (plan.target, *(other.target for other in plan.workloads)):
        url = urlsplit(target)
        port = url.port or (443 if url.scheme == "https" else 80)
        for host in plan.hosts:
            if host.spec.run is not None and url.hostname in (host.name, host.group):
                found[host.name, port] = None
    yield from found


def _references(plan: Plan) -> list[ReferenceHost]:
    if not plan.hosts:
        assert plan.server is not None, "the edge lab has a server"
        has_tls = urlsplit(plan.target).scheme == "https"
        return [ReferenceHost(SERVER, plan.server.script(plan.seed), plan.server.maxseg, has_tls, plan.has_traces)]
    return [
        ReferenceHost(host.name, host.server.script(plan.seed), host.spec.maxseg, False, plan.has_traces)
        for host in plan.hosts
        if host.server is not None
    ]


def _tiers(plan: Plan) -> Iterator[TierHost]:
    if any(host.spec.tier for host in plan.hosts):
        from chaoskit.planning.tier_settings import tier_settings  # loads pydantic, which a guest does without

        for host in plan.hosts:
            if host.spec.tier is not None:
                yield TierHost(host.name, tier_settings(plan, host), host.spec.maxseg)


def _program(host: PlannedHost, plan: Plan, names: str, variables: Mapping[str, str]) -> HostProgram:
    spec = host.spec
    assert spec.run is not None, "only hosts with a command are programs"
    return HostProgram(
        name=host.name,
        argv=spec.run,
        directory=plan.folder,
        environment=environment(variables, spec.env, spec.env_from, variables.get("PATH", os.defpath)),
        files=spec.files,
        ready=_sign(host),
        stop_after=spec.stop_after,
        rootfs=None if spec.rootfs is None else str(Path(plan.folder) / Path(spec.rootfs).expanduser()),
        etc_hosts=names,
    )


def _sign(host: PlannedHost) -> Sign:
    ready = host.spec.ready
    if ready is None:
        return Sign()
    if ready.tcp is not None:
        return Sign("tcp", str(ready.tcp), ready.within)
    if ready.http is not None:
        return Sign("http", ready.http, ready.within)
    return Sign("output", ready.output or "", ready.within)

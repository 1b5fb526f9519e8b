"""Defines the plan, an experiment compiled to knobs, settings and times, and reads `plan.json`.

Units as in `knobs` and `units`: ns, bytes, u32 shares. A plan can be shown, compared and reviewed; `conduct`
does exactly what it says.
"""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from chaoskit.errors import SpecError
from chaoskit.intervals import TAIL
from chaoskit.knobs import (
    Address,
    Clamp,
    Clsact,
    Filter,
    Foreign,
    Ifb,
    Knob,
    Link,
    Mtu,
    Namespace,
    Neighbour,
    Netem,
    Process,
    Pulse,
    Route,
    Rule,
    Sysctl,
    Veth,
)
from chaoskit.middlebox import Cut, IdleTimeout
from chaoskit.records.directory import PLAN
from chaoskit.records.untrusted_files import damage_error, parse_json, read_document
from chaoskit.spec.access import Access
from chaoskit.spec.classes import TrafficClass
from chaoskit.spec.demand_curve import Surges
from chaoskit.spec.host_tuning import Client
from chaoskit.spec.hosts import ServiceHost
from chaoskit.spec.interleaving import Order
from chaoskit.spec.kept_evidence import Evidence
from chaoskit.spec.objectives import Objective
from chaoskit.spec.server import Server
from chaoskit.spec.telemetry import Telemetry
from chaoskit.spec.workload import Workload
from chaoskit.timeouts.timers import Kind
from chaoskit.topology.lab import EDGE, Topology
from chaoskit.topology.ways import ends
from chaoskit.units import Size

SCHEMA: Literal[2] = 2
"""The version of plan.json and of the records beside it. Other versions are refused."""

PlannedSetting = Annotated[
    Namespace
    | Veth
    | Ifb
    | Link
    | Mtu
    | Address
    | Route
    | Rule
    | Neighbour
    | Sysctl
    | Clamp
    | Cut
    | IdleTimeout
    | Process
    | Clsact
    | Filter
    | Netem
    | Foreign,
    Field(discriminator="type"),
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedChange(_Frozen):
    """Set `knob` to `setting`; None removes it."""

    knob: Knob
    setting: PlannedSetting | None


class PlannedPhase(_Frozen):
    """`changes` are the knobs that every phase sets; None, where this phase has no fault, means: as the stage set it.

    `pulses` follow the changes. `ends`: knobs that become as the stage set them so many ns after the phase's begin.
    """

    name: str
    round: int
    faults: tuple[str, ...]
    length: int
    changes: tuple[PlannedChange, ...]
    pulses: tuple[Pulse, ...] = ()
    ends: tuple[tuple[int, Knob], ...] = ()
    demand: float = Field(1.0, exclude_if=lambda value: value == 1, description="What multiplies the request-rate.")


class Rounding(_Frozen):
    """A value that the kernel cannot represent exactly."""

    where: str
    asked: str
    kernel: str


class ExpectedEffect(_Frozen):
    """The expected effect of a phase's faults on one qdisc's packets, to be compared with its counters.

    `loss` is the expected share lost, `memory` widens the confidence interval of its count (see
    `faults.loss_models`; 0: independent loss, 1: unknown), `delay` the typical added delay in ns. None: no expectation.
    """

    knob: Knob
    loss: float | None = Field(ge=0, le=1)
    memory: float
    delay: int | None


class Expectation(_Frozen):
    """The expected effects of one phase (by name), and the round-trip time in ns that they add, if known."""

    phase: str
    effects: tuple[ExpectedEffect, ...]
    rtt: int | None


class InterfacePlan(_Frozen):
    """A real interface, and the user's endpoint behind it.

    `hits` describe the selected traffic. `addresses` are those of each resolved name; the probe connects to
    `target_addresses` alone (none: the URL holds an address). `filters` is the number of filters in each direction that
    has faults. The watchdog restores everything when the `lease` has not been renewed for so many ns. `access` names
    the secrets and has none. `namespace` is the inode of the network namespace that the file chooses, None if it does
    not, and `namespace_name` is for people.
    """

    name: str
    mtu: int
    hits: tuple[str, ...]
    addresses: dict[str, tuple[str, ...]]
    target_addresses: tuple[str, ...]
    filters: int
    lease: int
    access: Access
    namespace: int | None = None
    namespace_name: str = ""


class PlannedHost(_Frozen):
    """A host of a service lab; `group` is its name in the file, which replicas share.

    `server` says how the reference server responds where it is one; else `spec` has its command.
    """

    name: str
    group: str
    spec: ServiceHost
    server: Server | None = None


class PlannedTimer(_Frozen):
    """A timer of a host: of its calls of another one, or, without `callee`, towards its callers.

    `value` is in ns; None: it never runs out. `source` says who set it, for people.
    """

    host: str
    callee: str | None
    kind: Kind
    value: int | None
    source: str


class PlannedWorkload(_Frozen):
    """Another client of a lab: the URL that it asks, its requests, and the first number that its streams have.

    `traffic_class` is that of all its requests; None: they are drawn.
    """

    name: str
    target: str
    workload: Workload
    objectives: tuple[Objective, ...]
    first: int
    traffic_class: str | None = None


class Looks(_Frozen):
    """When a run looks whether its objectives are decided, so that it can end.

    `rounds` are how many are done at each look; at the last one the run ends anyway. `tail` is the probability beyond
    each end of every interval, with which all looks together are wrong as often as one is with 0.025.
    """

    rounds: tuple[int, ...] = Field(min_length=1)
    tail: float = Field(gt=0, lt=0.5)


class Plan(_Frozen):
    """Everything that `conduct` and `analyse` need; a copy of the experiment file is stored beside it."""

    schema_version: Literal[2] = SCHEMA
    chaoskit: str
    name: str
    question: str
    target: str = Field(description="The server's URL as the client sees it.")
    interface: InterfacePlan | None = Field(None, description="None: in a lab.")
    topology: Topology = Field(EDGE, description="The network of a lab.")
    hosts: tuple[PlannedHost, ...] = Field((), description="Those of a service lab, without the client.")
    folder: str = Field("", description="The folder in which programs of hosts are started.")
    ip: Literal[4, 6] = Field(4, description="The IP version of the client's connections in a lab.")
    access: Access = Field(Access(), description="How the client asks the target of a service lab.")
    memory: Size | None = Field(None, description="Memory of a guest, bytes. None: the default.")
    seed: int
    needs: Annotated[frozenset[str], PlainSerializer(sorted, list[str], when_used="json")]
    stage: tuple[PlannedChange, ...]
    phases: tuple[PlannedPhase, ...] = Field(min_length=1)
    order: Order = "as-written"
    looks: Looks | None = Field(
        None, exclude_if=lambda value: value is None, description="Of a run that ends when all objectives are decided."
    )
    workload: Workload
    workloads: tuple[PlannedWorkload, ...] = ()
    classes: dict[str, TrafficClass] = {}
    client: Client = Client()
    telemetry: Telemetry | None = None
    evidence: Evidence = Evidence()
    server: Server | None = Field(description="None: the target is the user's own server.")
    objectives: tuple[Objective, ...]
    expectations: tuple[Expectation, ...]
    roundings: tuple[Rounding, ...]
    timers: tuple[PlannedTimer, ...] = Field(
        (), description="Those of a service lab's hosts, as far as they are known."
    )
    warnings: tuple[str, ...]
    advice: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    drain: int = Field(description="How long open streams may still run after the last phase, ns.")

    @model_validator(mode="after")
    def _mtus_are_of_links(self) -> Plan:
        known = {end for host in self.topology.hosts for end in ends(self.topology, host)}
        for change in self.all_changes:
            knob = change.knob
            if knob.kind == "mtu" and knob.place and (knob.place, knob.name) not in known:
                raise ValueError(f"{knob} is no end of a link in the lab")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables whose values hosts and the client of a service lab get."""
        named = (*self.access.variables, *(name for host in self.hosts for name in host.spec.env_from))
        return tuple(dict.fromkeys(named))

    @property
    def has_traces(self) -> bool:
        """Whether requests name traces: a program, a tier, an engine, or who exports to us may record spans of them."""
        if self.interface is not None:
            return self.telemetry is not None
        servers = (self.server, *(host.server for host in self.hosts))
        has_engine = any(each is not None and each.engine is not None for each in servers)
        return has_engine or any(host.server is None for host in self.hosts)

    @property
    def asked_hosts(self) -> tuple[str, ...]:
        """The hosts of a service lab that the client asks: one, or its replicas."""
        asked = urlsplit(self.target).hostname
        return tuple(host.name for host in self.hosts if asked in (host.name, host.group))

    @property
    def asks_program(self) -> bool:
        """Whether a program of a service lab answers the client, and not a reference server."""
        asked = urlsplit(self.target).hostname
        return any(asked in (host.name, host.group) and host.server is None for host in self.hosts)

    @property
    def lab(self) -> Topology | None:
        """The lab's network; None on a real interface."""
        return self.topology if self.interface is None else None

    @property
    def all_changes(self) -> tuple[PlannedChange, ...]:
        """The changes of the stage, and those of all phases."""
        in_phases = (change for phase in self.phases for change in phase.changes if change.setting is not None)
        return (*self.stage, *dict.fromkeys(in_phases))

    @property
    def length(self) -> int:
        """All phases together, ns, without the drain."""
        return sum(phase.length for phase in self.phases)

    @property
    def surges(self) -> Surges:
        """What the phases multiply the rate of the measured workload by."""
        return tuple((phase.length, phase.demand) for phase in self.phases)

    @property
    def tail(self) -> float:
        """The probability beyond each end of the intervals."""
        return TAIL if self.looks is None else self.looks.tail

    @property
    def fault_free(self) -> int | None:
        """How long no fault is in force from the start, ns; None: always."""
        clean = list(takewhile(lambda phase: not phase.faults, self.phases))
        return None if len(clean) == len(self.phases) else sum(phase.length for phase in clean)

    @property
    def interleaved(self) -> str:
        """That its phases are, for people; "" where they are as written."""
        if self.order == "as-written":
            return ""
        rounds = f"{self.phases[-1].round + 1} rounds"
        if self.looks is not None:
            rounds = f"at most {rounds}"
        return f"{rounds} interleaved, in pairs: an order by seed {self.seed}, and its reverse"

    @property
    def reference(self) -> str:
        """The phase that others are compared with: the baseline, or else the first one."""
        names = [phase.name for phase in self.phases]
        return "baseline" if "baseline" in names else names[0]


def load_plan(run: Path) -> Plan:
    """The plan of a run directory. Raises SpecError when there is none, or one of another schema."""
    path = run / PLAN
    text = read_document(path)
    if text is None:
        raise SpecError(f"{path}: not found; give a run directory that chaoskit run created")
    version = parse_json(text).get("schema_version", SCHEMA)
    if isinstance(version, int) and version != SCHEMA:
        advice = "update chaoskit" if version > SCHEMA else "repeat the run"
        raise SpecError(f"{path}: schema version {version}, this chaoskit reads {SCHEMA}; {advice}")
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise damage_error(path, f"{place}: {first['msg']}") from None

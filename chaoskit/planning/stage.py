"""Compiles the stage of an experiment, lab or real interface, to knobs. Pure: lookups are done before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from chaoskit.errors import RefusedError
from chaoskit.faults.netem import NetemFault
from chaoskit.faults.schema import IPV6_MIN_MTU
from chaoskit.faults.sysctl import sysctl_changes
from chaoskit.host_lookups import HostLookups
from chaoskit.knobs import Change, Filter, Mtu, Netem
from chaoskit.planning.injection import (
    GSO_LOSS_WARNING,
    filters_per_direction,
    refuse_down,
    refuse_unreachable,
    resolve_selector,
    warnings,
)
from chaoskit.planning.management import endangered, refuse_danger
from chaoskit.planning.model import InterfacePlan, PlannedHost
from chaoskit.spec.access import Access
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.host_tuning import Host
from chaoskit.spec.server import Server
from chaoskit.spec.stage import EdgeStage, InterfaceStage, ServiceStage
from chaoskit.topology import lab_build
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.lab import CLIENT, EDGE, SERVER, Topology
from chaoskit.topology.steering import (
    BLACKHOLE,
    CLAMP,
    OneDirection,
    TrafficSelector,
    blackhole,
    describe,
    needs,
    qdisc,
    steer,
)

PORT = 8000
_NO_ACCESS = Access()
_LEASE, _MANAGEMENT_LEASE = 30 * 10**9, 10 * 10**9  # shorter where a fault may cut the user off
_AIM = "Aim it at other hosts and ports, for example to: api.example.com:443"
_SELECTED_SIZES = "A fault with size-drop in place of mtu hits the selected traffic alone"
_PERMISSION = "write allow-management-interface: true in the stage"
_PLACEHOLDER_ADDRESSES = ("192.0.2.1", "2001:db8::1")  # RFC 5737 and RFC 3849: addresses for documentation


@dataclass(frozen=True)
class StagePlan:
    """A compiled stage. A packet passes the netem of its direction `passes` times."""

    target: str
    changes: tuple[Change, ...]
    needs: frozenset[str]
    interface: InterfacePlan | None = None
    server: Server | None = None
    topology: Topology = EDGE
    hosts: tuple[PlannedHost, ...] = ()
    folder: str = ""
    ip: Literal[4, 6] = 4
    access: Access = _NO_ACCESS
    passes: int = 1
    warnings: tuple[str, ...] = ()


def placeholder_lookups(experiment: Experiment) -> HostLookups | None:
    """Lookups to check a file with, without reading the machine: every name has an address of each IP version.

    The target's host tells whether it is this machine.
    """
    match experiment.stage:
        case InterfaceStage() as stage:
            is_here = stage.interface in (None, "lo") and _is_loopback(stage.connected_host)
            return HostLookups(
                stage.interface or ("lo" if is_here else "eth0"),
                is_loopback=is_here,
                addresses=dict.fromkeys(stage.names, _PLACEHOLDER_ADDRESSES),
            )
        case EdgeStage() | ServiceStage():
            return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761


@dataclass(frozen=True)
class StageLookups:
    """What a stage is compiled with: the `lookups` (None for a lab), and the classifier (flower or u32)."""

    lookups: HostLookups | None = None
    classifier: str = "flower"

    @property
    def required(self) -> HostLookups:
        """The lookups of a real interface; present whenever the stage is one."""
        assert self.lookups is not None, "an interface is looked up before it is planned with"
        return self.lookups


def fault_site(experiment: Experiment, stage_lookups: StageLookups) -> Site:
    """Where its faults apply. Raises RefusedError for a target without an address of the selected IP version."""
    match experiment.stage:
        case EdgeStage() | ServiceStage() as stage:
            return Lab(int(stage.ip), stage.topology)
        case InterfaceStage() as stage:
            return Interface(
                stage_lookups.required.interface,
                resolve_selector(stage, stage_lookups.required),
                stage_lookups.classifier,
            )


def compile_stage(
    experiment: Experiment, touched: tuple[Change, ...], limit: int, stage_lookups: StageLookups
) -> StagePlan:
    """The stage with all that the faults' changes (`touched`) rely on; its qdiscs hold `limit` packets.

    Raises RefusedError where the interface cannot be used, or must not be used without permission.
    """
    match experiment.stage:
        case EdgeStage() | ServiceStage() as stage:
            return _compile_lab(experiment, stage, touched)
        case InterfaceStage() as stage:
            return _compile_interface(experiment, stage, touched, limit, stage_lookups)


def _compile_lab(experiment: Experiment, stage: EdgeStage | ServiceStage, touched: tuple[Change, ...]) -> StagePlan:
    """Without IPv6 where an MTU is below 1280: the kernel would remove the IPv6 addresses and not restore them."""
    knobs, topology = frozenset(knob for knob, _ in touched), stage.topology
    too_small = any(isinstance(setting, Mtu) and setting.bytes < IPV6_MIN_MTU for _, setting in touched)
    versions = (4,) if too_small else lab_build.BOTH_VERSIONS
    planned = tuple(_hosts(experiment, stage)) if isinstance(stage, ServiceStage) else ()
    hosts: dict[str, Host] = {CLIENT: experiment.client, **{each.name: each.spec for each in planned}}
    if isinstance(stage, EdgeStage):
        hosts[SERVER] = experiment.server
    tuned = (change for name, host in hosts.items() for change in _host_changes(topology, name, host, versions))
    return StagePlan(
        _url(stage),
        (*lab_build.build(topology, knobs, versions), *tuned),
        lab_build.needs(knobs),
        server=experiment.server if isinstance(stage, EdgeStage) else _server(planned),
        topology=topology,
        hosts=planned,
        folder=stage.folder if isinstance(stage, ServiceStage) else "",
        ip=4 if stage.ip == "4" else 6,
        access=stage.access if isinstance(stage, ServiceStage) else Access(),
    )


def _url(stage: EdgeStage | ServiceStage) -> str:
    if isinstance(stage, ServiceStage):
        return stage.target
    (address,) = EDGE.resolve(SERVER, int(stage.ip))
    host = address if stage.ip == "4" else f"[{address}]"
    return f"http{'s' if stage.tls else ''}://{host}:{PORT}"


def _hosts(experiment: Experiment, stage: ServiceStage) -> Iterator[PlannedHost]:
    """Each host, and each replica; a reference server without words of its own responds as `server:` says."""
    for group, spec in stage.hosts.items():
        server = None
        if spec.reference is not None:
            words = spec.reference.written() or experiment.server.written()
            server = Server.model_validate(words)
        for each in stage.topology.members(group):
            yield PlannedHost(name=each.host, group=group, spec=spec, server=server)


def _server(hosts: tuple[PlannedHost, ...]) -> Server | None:
    """How the reference server responds, where all that are one respond alike."""
    found = [each.server for each in hosts if each.server is not None]
    return found[0] if found and all(each == found[0] for each in found) else None


def _host_changes(topology: Topology, name: str, host: Host, versions: tuple[int, ...]) -> tuple[Change, ...]:
    """The tuning of a lab host: sysctls and route sizes, without socket options."""
    sizes = lab_build.RouteSizes(host.route_mtu, host.advmss)
    return (
        *sysctl_changes(name, host.parameters),
        *(lab_build.default_routes(topology, name, sizes, versions) if sizes != lab_build.RouteSizes() else ()),
    )


def _compile_interface(
    experiment: Experiment, stage: InterfaceStage, touched: tuple[Change, ...], limit: int, stage_lookups: StageLookups
) -> StagePlan:
    """A netem without effect exists from the start and phases change it, so that filters are removed first."""
    lookups, classifier = stage_lookups.required, stage_lookups.classifier
    refuse_down(lookups)
    _check_mtu(touched, lookups)
    selector = resolve_selector(stage, lookups)
    has_mtu = any(isinstance(setting, Mtu) for _, setting in touched)  # that of the whole interface
    hits = endangered(lookups, None if has_mtu else selector) if touched else ()
    if not stage.allow_management_interface:
        refuse_danger(lookups, hits, _SELECTED_SIZES if has_mtu else _AIM, _PERMISSION)
    knobs = {knob for knob, _ in touched}
    directions: tuple[OneDirection, ...] = ("up", "down")
    netems: dict[OneDirection, Netem | None] = {
        direction: Netem(limit=limit) for direction in directions if qdisc(direction) in knobs
    }
    is_steered = any(knob.kind in ("qdisc", "filter") for knob in knobs)
    has_selector = is_steered or CLAMP in knobs
    drops_sent = any(isinstance(setting, Filter) and setting.redirect_to == BLACKHOLE for _, setting in touched)
    steered = steer(lookups.interface, selector, netems, classifier) if is_steered else ()
    refuse_unreachable(selector, lookups, (*steered, *touched))
    return StagePlan(
        target=stage.target,
        changes=(
            *(blackhole() if drops_sent else ()),
            *steered,
        ),
        needs=needs(selector, classifier) if is_steered else frozenset(),
        interface=InterfacePlan(
            name=lookups.interface,
            mtu=lookups.mtu,
            hits=(*(describe(selector) if has_selector else ()), *(_mtu_hits(lookups) if has_mtu else ())),
            addresses=lookups.addresses,
            target_addresses=_target_addresses(stage, lookups),
            filters=filters_per_direction(selector, classifier) if is_steered else 0,
            lease=_MANAGEMENT_LEASE if hits else _LEASE,
            access=stage.access,
            namespace=lookups.namespace if stage.chosen else None,
            namespace_name=stage.namespace_name,
        ),
        passes=2 if lookups.is_loopback and not _selects_one_direction(selector) else 1,
        warnings=tuple(_warnings(experiment, selector, lookups, (*steered, *touched))) if is_steered else (),
    )


def _check_mtu(touched: tuple[Change, ...], lookups: HostLookups) -> None:
    """Raises RefusedError for an MTU outside the range of this interface."""
    for _, setting in touched:
        if isinstance(setting, Mtu) and not lookups.min_mtu <= setting.bytes <= lookups.max_mtu:
            raise RefusedError(
                f"{lookups.interface} cannot have an MTU of {setting.bytes}: it takes {lookups.min_mtu} to "
                f"{lookups.max_mtu}; see ip -d link show {lookups.interface}"
            )


def _mtu_hits(lookups: HostLookups) -> tuple[str, ...]:
    return (f"every packet that {lookups.interface} sends and that is longer than its MTU",)


def _target_addresses(stage: InterfaceStage, lookups: HostLookups) -> tuple[str, ...]:
    found = lookups.addresses.get(stage.connected_host, ())
    return tuple(each for each in found if stage.ip in (None, str(ip_address(each).version)))


def _selects_one_direction(selector: TrafficSelector) -> bool:
    """Whether a loopback packet matches one direction only: ports tell directions apart, addresses do not."""
    return selector.local_port is not None or any(remote.port is not None for remote in selector.remotes)


def _warnings(
    experiment: Experiment, selector: TrafficSelector, lookups: HostLookups, changes: tuple[Change, ...]
) -> Iterator[str]:
    assert isinstance(experiment.stage, InterfaceStage)
    for sentence in warnings(experiment.stage, selector, lookups, changes):
        yield f"stage: {sentence}"
    netems = [part.netem for parts in experiment.faults.values() for part in parts if isinstance(part, NetemFault)]
    if any(netem.loss is not None for netem in netems):
        yield f"stage: {GSO_LOSS_WARNING}"

"""Where the faults of an experiment take hold: a stage as knobs. Pure: lookups are done before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from chaoskit.errors import RefusedError
from chaoskit.faults.netem import NetemFault
from chaoskit.faults.schema import IPV6_MIN_MTU
from chaoskit.faults.sysctl import sysctl_changes
from chaoskit.host_lookups import HostLookups
from chaoskit.knobs import Change, Filter, Mtu, Netem
from chaoskit.plan.injection import TRAINS, aim_at, refuse, refuse_unreachable, room_for, warnings
from chaoskit.plan.model import OnInterface
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.host_tuning import Host
from chaoskit.spec.stage import InterfaceStage, LabStage
from chaoskit.topology import edge
from chaoskit.topology.fault_site import Interface, Lab, Site
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
_LEASE, _SHORT_LEASE = 30 * 10**9, 10 * 10**9  # short where somebody may be cut off
_CONSENT = "write allow-management-interface: true in the stage"
_NOBODY = ("192.0.2.1", "2001:db8::1")  # RFC 5737 and RFC 3849: addresses for documentation


@dataclass(frozen=True)
class StagePlan:
    """A stage, compiled. A packet meets the netem of its direction `passes` times on its way."""

    target: str
    changes: tuple[Change, ...]
    needs: frozenset[str]
    interface: OnInterface | None = None
    passes: int = 1
    warnings: tuple[str, ...] = ()


def imagined(experiment: Experiment) -> HostLookups | None:
    """A machine to check a file against without looking at one: every name has an address of each version."""
    match experiment.stage:
        case InterfaceStage() as stage:
            return HostLookups(stage.interface or "eth0", addresses=dict.fromkeys(stage.names, _NOBODY))
        case LabStage():
            return None


@dataclass(frozen=True)
class StageLookups:
    """What a stage is laid out on: the `ground`, which a lab needs not, and the kind of filters (flower or u32)."""

    ground: HostLookups | None = None
    classifier: str = "flower"

    @property
    def there(self) -> HostLookups:
        """The ground of a real interface."""
        assert self.ground is not None, "somebody looks at the machine before an interface is planned with"
        return self.ground


def site_of(experiment: Experiment, looked: StageLookups) -> Site:
    """Where its faults are in force. Raises RefusedError for a target without an address of the version meant."""
    match experiment.stage:
        case LabStage(ip=version):
            return Lab(int(version))
        case InterfaceStage() as stage:
            return Interface(looked.there.interface, aim_at(stage, looked.there), looked.classifier)


def lay_out(experiment: Experiment, touched: tuple[Change, ...], limit: int, looked: StageLookups) -> StagePlan:
    """The stage with a place for everything that the faults change: `touched`, where qdiscs hold `limit` packets.

    Raises RefusedError where that interface cannot, or must not, be worked on.
    """
    match experiment.stage:
        case LabStage() as stage:
            return _in_lab(experiment, stage, touched)
        case InterfaceStage() as stage:
            return _on_interface(experiment, stage, touched, limit, looked)


def _in_lab(experiment: Experiment, stage: LabStage, touched: tuple[Change, ...]) -> StagePlan:
    """Without IPv6 where a link becomes too small for it: the kernel would take it away, and not bring it back."""
    knobs = frozenset(knob for knob, _ in touched)
    too_small = any(isinstance(setting, Mtu) and setting.bytes < IPV6_MIN_MTU for _, setting in touched)
    versions = (4,) if too_small else edge.BOTH_VERSIONS
    hosts: tuple[tuple[edge.EndHost, Host], ...] = (("client", experiment.client), ("server", experiment.server))
    tuned = (change for end, told in hosts for change in _tuned(end, told, versions))
    return StagePlan(_url(stage), (*edge.build(knobs, versions), *tuned), edge.needs(knobs))


def _url(stage: LabStage) -> str:
    host = edge.SERVER_V4 if stage.ip == "4" else f"[{edge.SERVER_V6}]"
    return f"http{'s' if stage.tls else ''}://{host}:{PORT}"


def _tuned(end: edge.EndHost, told: Host, versions: tuple[int, ...]) -> tuple[Change, ...]:
    """What an end of the lab is given beyond the lab itself, sockets apart."""
    sizes = edge.RouteSizes(told.route_mtu, told.advmss)
    return (
        *sysctl_changes(end, told.parameters),
        *(edge.default_routes(end, sizes, versions) if sizes != edge.RouteSizes() else ()),
    )


def _on_interface(
    experiment: Experiment, stage: InterfaceStage, touched: tuple[Change, ...], limit: int, looked: StageLookups
) -> StagePlan:
    """A netem without effect stands from the beginning: a phase changes it, and the filters are what goes first."""
    ground, classifier = looked.there, looked.classifier
    refuse(stage, ground, stage.allow_management_interface or not touched, _CONSENT)
    _fits(touched, ground)
    selector = aim_at(stage, ground)
    knobs = {knob for knob, _ in touched}
    ways: tuple[OneDirection, ...] = ("up", "down")
    used: dict[OneDirection, Netem | None] = {way: Netem(limit=limit) for way in ways if qdisc(way) in knobs}
    is_steered = any(knob.kind in ("qdisc", "filter") for knob in knobs)
    is_aimed = is_steered or CLAMP in knobs
    cuts_up = any(isinstance(setting, Filter) and setting.to == BLACKHOLE for _, setting in touched)
    steered = steer(ground.interface, selector, used, classifier) if is_steered else ()
    refuse_unreachable(selector, ground, (*steered, *touched))
    return StagePlan(
        target=stage.target,
        changes=(
            *(blackhole() if cuts_up else ()),
            *steered,
        ),
        needs=needs(selector, classifier) if is_steered else frozenset(),
        interface=OnInterface(
            name=ground.interface,
            mtu=ground.mtu,
            hits=(*(describe(selector) if is_aimed else ()), *_hit_by_size(touched, ground)),
            addresses=ground.addresses,
            target_addresses=_target_addresses(stage, ground),
            filters=room_for(selector, classifier) if is_steered else 0,
            lease=_SHORT_LEASE if ground.ways_in else _LEASE,
            model=stage.model,
            key_env=stage.key_env,
        ),
        passes=2 if ground.is_loopback and not _tells_ends_apart(selector) else 1,
        warnings=tuple(_warnings(experiment, selector, ground, (*steered, *touched))) if is_steered else (),
    )


def _fits(touched: tuple[Change, ...], ground: HostLookups) -> None:
    """Raises RefusedError for an MTU that this interface cannot have."""
    for _, setting in touched:
        if isinstance(setting, Mtu) and not ground.least_mtu <= setting.bytes <= ground.most_mtu:
            raise RefusedError(
                f"{ground.interface} cannot have an MTU of {setting.bytes}: it takes {ground.least_mtu} to "
                f"{ground.most_mtu}; see ip -d link show {ground.interface}"
            )


def _hit_by_size(touched: tuple[Change, ...], ground: HostLookups) -> tuple[str, ...]:
    has_mtu = any(isinstance(setting, Mtu) for _, setting in touched)
    return (f"every packet that {ground.interface} sends and that is longer than its MTU",) if has_mtu else ()


def _target_addresses(stage: InterfaceStage, ground: HostLookups) -> tuple[str, ...]:
    found = ground.addresses.get(stage.target_host, ())
    return tuple(each for each in found if stage.ip in (None, str(ip_address(each).version)))


def _tells_ends_apart(selector: TrafficSelector) -> bool:
    """Whether a packet on loopback is of one direction only: by its ports, for by its addresses it is of both."""
    return selector.local_port is not None or any(remote.port is not None for remote in selector.remotes)


def _warnings(
    experiment: Experiment, selector: TrafficSelector, ground: HostLookups, changes: tuple[Change, ...]
) -> Iterator[str]:
    assert isinstance(experiment.stage, InterfaceStage)
    for sentence in warnings(experiment.stage, selector, ground, changes):
        yield f"stage: {sentence}"
    netems = [part.netem for parts in experiment.faults.values() for part in parts if isinstance(part, NetemFault)]
    if any(netem.loss is not None for netem in netems):
        yield f"stage: {TRAINS}"

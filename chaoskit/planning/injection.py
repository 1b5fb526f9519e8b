"""Compiles an injection and the lookups of its interface to knobs.

Pure: it touches nothing. Whatever is refused here is refused before anything is recorded or changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from chaoskit.errors import RefusedError, SpecError
from chaoskit.faults.netem import NetemSpec
from chaoskit.host_lookups import ForeignFilter, HostLookups
from chaoskit.knobs import Change, Netem
from chaoskit.planning.management import endangered, refuse_danger
from chaoskit.seed import derive
from chaoskit.spec.injection import Injection, To, TrafficMatch
from chaoskit.topology.fault_site import Interface
from chaoskit.topology.steering import (
    IFBS,
    MAX_FILTERS,
    OneDirection,
    Remote,
    TrafficSelector,
    blackhole,
    clamp,
    count_filters,
    describe,
    drop_oversized,
    needs,
    steer,
)
from chaoskit.units import Duration, counted

MAX_MANAGEMENT_LEASE = Duration(60 * 10**9)  # the longest lease of a fault that could hit management traffic
GSO_LOSS_WARNING = "with GSO a real interface sends up to 64 kB as one packet, and loss drops all of it at once"
CLAMP_WARNING = "open connections keep their segment size: an MSS clamp changes handshakes alone"
_AIM = "Aim it at other hosts and ports, for example --to api.example.com:443"
_PERMISSION = f"--allow-management-interface, with a lease of {MAX_MANAGEMENT_LEASE} at most"
_KERNEL_LIMIT = 1000  # packets, netem's own default
_FRAME_RATE = 10**9 / 8 / 1514  # full frames per second at 1 Gbit/s, which queues are sized for


@dataclass(frozen=True)
class InjectionPlan:
    """`changes` in the order of setting; `addresses` of each resolved name; `hits` and `warnings` are text; `filters`
    is their number in each direction."""

    injection: Injection
    interface: str
    hits: tuple[str, ...]
    addresses: dict[str, tuple[str, ...]]
    changes: tuple[Change, ...]
    filters: int
    needs: frozenset[str]
    warnings: tuple[str, ...]


def compile_injection(injection: Injection, lookups: HostLookups, classifier: str) -> InjectionPlan:
    """The plan of an injection, with filters of flower or u32. Raises RefusedError and SpecError."""
    refuse_down(lookups)
    selector = resolve_selector(injection, lookups)
    hits = endangered(lookups, selector)
    if not injection.allow_management_interface:
        refuse_danger(lookups, hits, _AIM, _PERMISSION)
    if hits and injection.for_ > MAX_MANAGEMENT_LEASE:
        raise SpecError(
            f"{lookups.interface} {lookups.management_uses[0]}, and this fault could hit {hits[0]}, so its lease is "
            f"{MAX_MANAGEMENT_LEASE} at most: give --for {MAX_MANAGEMENT_LEASE} or less"
        )
    filters = filters_per_direction(selector, classifier) if injection.steers else 0
    netem_specs: dict[OneDirection, NetemSpec | None] = {"up": injection.up, "down": injection.down}
    netems: dict[OneDirection, Netem | None] = {
        direction: each.setting(each.limit or queue_limit(each), derive(injection.seed, "netem", IFBS[direction]))
        for direction, each in netem_specs.items()
        if each is not None
    }
    changes = _changes(injection, lookups.interface, selector, netems, classifier)
    refuse_unreachable(selector, lookups, changes)
    return InjectionPlan(
        injection=injection,
        interface=lookups.interface,
        hits=tuple(describe(selector)),
        addresses=lookups.addresses,
        changes=changes,
        filters=filters,
        needs=_needs(injection, selector, classifier),
        warnings=(
            *(warnings(injection, selector, lookups, changes) if injection.steers else ()),
            *(each for w in netem_specs.values() if w for each in _netem_warnings(w)),
            *((CLAMP_WARNING,) if injection.mss_clamp is not None else ()),
        ),
    )


def _changes(
    injection: Injection,
    interface: str,
    selector: TrafficSelector,
    netems: dict[OneDirection, Netem | None],
    classifier: str,
) -> tuple[Change, ...]:
    """In the order of setting: size filters come last, because the ifbs that they redirect to must exist."""
    drops = injection.size_drops
    return (
        *(blackhole() if "up" in drops else ()),
        *(steer(interface, selector, netems, classifier) if injection.steers else ()),
        *(
            change
            for direction, size in drops.items()
            for change in drop_oversized(interface, selector, (direction,), size, classifier)
        ),
        *(clamp(interface, selector, injection.mss_clamp) if injection.mss_clamp is not None else ()),
        *(change for fault in injection.ended for change in fault.changes(Interface(interface, selector), 0, 0)),
    )


def _needs(injection: Injection, selector: TrafficSelector, classifier: str) -> frozenset[str]:
    return frozenset(
        (needs(selector, classifier) if injection.steers else frozenset())
        | ({"police"} if injection.size_drops else set())
        | ({"clamp"} if injection.mss_clamp is not None else set()).union(*(each.needs() for each in injection.ended))
    )


def queue_limit(netem: NetemSpec) -> int:
    """The limit in packets at which a netem on a real interface adds no loss of its own.

    1.5 times the full frames that arrive within the longest delay at 1 Gbit/s, or at the netem's own rate.
    """
    rate = netem.rate.rate / 8 / 1514 if netem.rate is not None else _FRAME_RATE
    return max(_KERNEL_LIMIT, int(1.5 * rate * (netem.delay + 4 * netem.jitter) / 1e9))


def resolve_selector(traffic: TrafficMatch, lookups: HostLookups) -> TrafficSelector:
    """The selected addresses and ports. Raises RefusedError for a name without an address of the IP version."""
    versions = frozenset({int(traffic.ip)} if traffic.ip else {4, 6})
    remotes = tuple(dict.fromkeys(remote for to in traffic.to for remote in _remotes(to, lookups, versions)))
    return TrafficSelector(remotes, traffic.local_port, traffic.protocol, versions)


def filters_per_direction(selector: TrafficSelector, classifier: str) -> int:
    """How many filters each direction needs. Raises RefusedError when they exceed the priority range."""
    filters = count_filters(selector, classifier)
    if filters > MAX_FILTERS:
        raise RefusedError(
            f"the selected traffic needs {counted(filters, 'filter')} and there is room for {MAX_FILTERS}: "
            "give fewer hosts, or a CIDR"
        )
    return filters


def refuse_down(lookups: HostLookups) -> None:
    """Raises RefusedError for an interface that is down."""
    if not lookups.is_up:
        raise RefusedError(f"{lookups.interface} is down: sudo ip link set {lookups.interface} up, or give another")


def refuse_unreachable(selector: TrafficSelector, lookups: HostLookups, changes: Iterable[Change]) -> None:
    """Raises RefusedError where a hook takes no filters of chaoskit, or where no selected packet reaches them."""
    name, versions = lookups.interface, _versions(selector)
    for hook, (first, _) in _hooks(changes).items():
        if hook in lookups.blocked_hooks:
            raise RefusedError(f"{name}: {lookups.blocked_hooks[hook]}")
        before = [each for each in lookups.filters if each.hook == hook and each.priority < first and each.takes]
        if versions <= frozenset().union(*(each.takes for each in before)):
            removal = "; ".join(f"sudo tc filter del dev {name} {hook} prio {each.priority}" for each in before)
            raise RefusedError(
                f"{name}: no selected packet reaches chaoskit's filters: the foreign "
                f"{_list_filters(before)} at its {hook} takes all of them first: see "
                f"tc -s filter show dev {name} {hook}; if that may be removed: {removal}"
            )


def _versions(selector: TrafficSelector) -> frozenset[int]:
    """The IP versions of the selected traffic."""
    prefixes = (remote.prefix for remote in selector.remotes or (Remote(),))
    return frozenset(
        version for each in prefixes for version in ((ip_network(each).version,) if each else selector.versions)
    )


def _hooks(changes: Iterable[Change]) -> dict[str, tuple[int, int]]:
    """Each hook of these filters, with their lowest and highest priority."""
    found: dict[str, list[int]] = {}
    for knob, _ in changes:
        if knob.kind == "filter":
            _, hook, priority = knob.name.split(" ")
            found.setdefault(hook, []).append(int(priority))
    return {hook: (min(priorities), max(priorities)) for hook, priorities in found.items()}


def _list_filters(filters: Iterable[ForeignFilter]) -> str:
    return " and ".join(f"{each.kind} filter with priority {each.priority}" for each in filters)


def warnings(
    traffic: TrafficMatch, selector: TrafficSelector, lookups: HostLookups, changes: Iterable[Change]
) -> Iterator[str]:
    """What a reader of the plan should know about the traffic that it affects."""
    name = lookups.interface
    for sentence in lookups.foreign:
        yield f"{name}: {sentence}"
    for hook, (first, last) in _hooks(changes).items():
        foreign = [each for each in lookups.filters if each.hook == hook and each.sees & _versions(selector)]
        if before := [each for each in foreign if each.priority < last]:
            yield (
                f"{name}: the foreign {_list_filters(before)} at its {hook} runs before ours, and the fault misses the "
                f"packets that it takes: see tc -s filter show dev {name} {hook}"
            )
        if after := [each for each in foreign if each.priority > first]:
            yield (
                f"{name}: the foreign {_list_filters(after)} at its {hook} runs after ours and misses the packets that "
                "are hit"
            )
    for host, other in lookups.other_interfaces.items():
        yield f"{name}: the kernel sends to {host} by {other}, and only packets that pass {name} are hit"
    if selector.local_port is not None or any(remote.port for remote in selector.remotes):
        yield "fragments show no ports, so those between these hosts are hit whatever their port"
    if lookups.is_loopback:
        if not _has_ports(selector):
            yield (
                f"{lookups.interface} is the interface of both ends, and only a port tells requests from responses: "
                f"without one each packet is hit twice, sent (up) and received (down)"
            )
    elif selector.protocol is None and not selector.matches_all and not _has_ports(selector) and 6 in selector.versions:
        yield "IPv6 neighbour discovery uses packets to and from these hosts, and those are hit too"
    if traffic.everything:
        yield "everything is hit: ARP, DNS, every other program of this machine"


def _has_ports(selector: TrafficSelector) -> bool:
    return selector.local_port is not None or any(remote.port is not None for remote in selector.remotes)


def _netem_warnings(netem: NetemSpec) -> Iterator[str]:
    if netem.jitter > netem.delay:
        yield f"jitter {netem.jitter} is above delay {netem.delay}: delays below zero become zero"
    if netem.loss is not None:
        yield GSO_LOSS_WARNING


def _remotes(to: To, lookups: HostLookups, versions: frozenset[int]) -> Iterator[Remote]:
    if to.host is None:
        yield Remote(None, to.port)
        return
    prefixes = [to.host] if to.name is None else lookups.addresses[to.name]
    collected = [prefix for each in prefixes if (prefix := ip_network(each, strict=False)).version in versions]
    if not collected:
        version = " or ".join(f"IPv{each}" for each in sorted(versions))
        raise RefusedError(
            f"{to.host} has no {version} address ({', '.join(prefixes)}): remove --ip, or give another host"
        )
    for prefix in collected:
        yield Remote(str(prefix), to.port)

"""From the words of an injection, and what was looked up for them, to knobs. Pure: touches nothing.

What is refused here is refused before anything is written down or changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from chaoskit.errors import RefusedError, SpecError
from chaoskit.faults.netem import NetemWords
from chaoskit.host_lookups import HostLookups, Hung
from chaoskit.knobs import Change, Netem
from chaoskit.seed import derive
from chaoskit.spec.injection import Injection, To, TrafficSelector
from chaoskit.topology.steering import (
    IFBS,
    MOST,
    Aim,
    OneDirection,
    Remote,
    clamp,
    count,
    cut,
    hole,
    in_words,
    needs,
    steer,
)
from chaoskit.units import Duration

LONGEST_WAY_IN = Duration(60 * 10**9)  # the lease on an interface that somebody may be sitting behind
TRAINS = "a real interface hands over up to 64 kB at once, and loss takes such a train of packets whole"
HANDSHAKES = "connections that are open already keep their segments: a clamp changes handshakes alone"
_CONSENT = f"--allow-management-interface, with a lease of {LONGEST_WAY_IN} at the most"
_KERNEL_LIMIT = 1000  # packets, netem's own default
_FRAME_RATE = 10**9 / 8 / 1514  # full frames per second that a queue is sized for, of 1 Gbit/s


@dataclass(frozen=True)
class InjectionPlan:
    """`changes` in the order of setting; `addresses` of each name that was looked up; `hits` and `warnings` are
    words, `filters` is how many each direction takes."""

    injection: Injection
    interface: str
    hits: tuple[str, ...]
    addresses: dict[str, tuple[str, ...]]
    changes: tuple[Change, ...]
    filters: int
    needs: frozenset[str]
    warnings: tuple[str, ...]


def compile_injection(injection: Injection, ground: HostLookups, classifier: str) -> InjectionPlan:
    """The plan of an injection on this ground, by flower or u32. Raises RefusedError and SpecError."""
    refuse(injection, ground, injection.allow_management_interface)
    if ground.ways_in and injection.for_ > LONGEST_WAY_IN:
        raise SpecError(
            f"{ground.interface} {ground.ways_in[0]}, so its lease is {LONGEST_WAY_IN} at the most: "
            f"give --for {LONGEST_WAY_IN} or less"
        )
    aim = aim_at(injection, ground)
    filters = room_for(aim, classifier) if injection.steers else 0
    words: dict[OneDirection, NetemWords | None] = {"up": injection.up, "down": injection.down}
    netems: dict[OneDirection, Netem | None] = {
        way: each.setting(each.limit or queue(each), derive(injection.seed, "netem", IFBS[way]))
        for way, each in words.items()
        if each is not None
    }
    changes = _changes(injection, ground.interface, aim, netems, classifier)
    refuse_unreachable(aim, ground, changes)
    return InjectionPlan(
        injection=injection,
        interface=ground.interface,
        hits=tuple(in_words(aim)),
        addresses=ground.addresses,
        changes=changes,
        filters=filters,
        needs=_needs(injection, aim, classifier),
        warnings=(
            *(warnings(injection, aim, ground, changes) if injection.steers else ()),
            *(each for w in words.values() if w for each in _of_netem(w)),
            *((HANDSHAKES,) if injection.mss_clamp is not None else ()),
        ),
    )


def _changes(
    injection: Injection, interface: str, aim: Aim, netems: dict[OneDirection, Netem | None], classifier: str
) -> tuple[Change, ...]:
    """The filters that look at sizes hang before the others, so that they come last: their ifbs stand already."""
    drops = injection.size_drops
    return (
        *(hole() if "up" in drops else ()),
        *(steer(interface, aim, netems, classifier) if injection.steers else ()),
        *(change for way, size in drops.items() for change in cut(interface, aim, (way,), size, classifier)),
        *(clamp(interface, aim, injection.mss_clamp) if injection.mss_clamp is not None else ()),
    )


def _needs(injection: Injection, aim: Aim, classifier: str) -> frozenset[str]:
    return frozenset(
        (needs(aim, classifier) if injection.steers else frozenset())
        | ({"police"} if injection.size_drops else set())
        | ({"clamp"} if injection.mss_clamp is not None else set())
    )


def queue(netem: NetemWords) -> int:
    """How many packets a netem on a real interface must hold, so that its own limit adds no loss.

    What 1 Gbit/s of full frames, or the netem's own rate, can bring within its longest delay, and half as much more.
    """
    rate = netem.rate.rate / 8 / 1514 if netem.rate is not None else _FRAME_RATE
    return max(_KERNEL_LIMIT, int(1.5 * rate * (netem.delay + 4 * netem.jitter) / 1e9))


def aim_at(whom: TrafficSelector, ground: HostLookups) -> Aim:
    """The addresses and ports that are meant. Raises RefusedError for a name that has no address of that version."""
    versions = frozenset({int(whom.ip)} if whom.ip else {4, 6})
    remotes = tuple(dict.fromkeys(remote for to in whom.to for remote in _remotes(to, ground, versions)))
    return Aim(remotes, whom.local_port, whom.protocol, versions)


def room_for(aim: Aim, classifier: str) -> int:
    """How many filters each direction takes. Raises RefusedError when there is no room for them."""
    filters = count(aim, classifier)
    if filters > MOST:
        raise RefusedError(f"that takes {filters} filters and there is room for {MOST}: aim at fewer hosts, or a CIDR")
    return filters


def refuse(
    whom: TrafficSelector, ground: HostLookups, allow_management_interface: bool, consent: str = _CONSENT
) -> None:
    """Raises RefusedError for an interface that cannot be worked on, or must not be without being asked for.

    `consent` is what somebody writes who means it.
    """
    if not ground.is_up:
        raise RefusedError(f"{ground.interface} is down: sudo ip link set {ground.interface} up, or name another")
    if allow_management_interface:
        return
    if ground.ways_in:
        raise RefusedError(
            f"{ground.interface} {' and '.join(ground.ways_in)}: a mistake there may cut you off. "
            f"If you mean it, {consent}"
        )
    for peer in ground.ssh_peers:
        for remote in aim_at(whom, ground).remotes:
            if remote.prefix and ip_address(peer) in ip_network(remote.prefix):
                raise RefusedError(f"{peer} is where your ssh session comes from; if you mean it, {consent}")


def refuse_unreachable(aim: Aim, ground: HostLookups, changes: Iterable[Change]) -> None:
    """Raises RefusedError where filters of these changes cannot hang, or where nothing of the aim gets to them."""
    name, meant = ground.interface, _versions(aim)
    for hook, (first, _) in _hooks(changes).items():
        if hook in ground.shut:
            raise RefusedError(f"{name}: {ground.shut[hook]}")
        before = [each for each in ground.filters if each.hook == hook and each.priority < first and each.takes]
        if meant <= frozenset().union(*(each.takes for each in before)):
            goes = "; ".join(f"sudo tc filter del dev {name} {hook} prio {each.priority}" for each in before)
            raise RefusedError(
                f"{name}: nothing of that gets to our filters, for {_theirs(before)} of somebody else at its {hook} "
                f"takes all of it before: see tc -s filter show dev {name} {hook}; if that may go: {goes}"
            )


def _versions(aim: Aim) -> frozenset[int]:
    """Of IP, which the aim is at."""
    far = (remote.prefix for remote in aim.remotes or (Remote(),))
    return frozenset(version for each in far for version in ((ip_network(each).version,) if each else aim.versions))


def _hooks(changes: Iterable[Change]) -> dict[str, tuple[int, int]]:
    """Each hook that these filters hang at, with the first and the last of their priorities."""
    found: dict[str, list[int]] = {}
    for knob, _ in changes:
        if knob.kind == "filter":
            _, hook, priority = knob.name.split(" ")
            found.setdefault(hook, []).append(int(priority))
    return {hook: (min(priorities), max(priorities)) for hook, priorities in found.items()}


def _theirs(filters: Iterable[Hung]) -> str:
    return " and ".join(f"the {each.kind} filter with priority {each.priority}" for each in filters)


def warnings(whom: TrafficSelector, aim: Aim, ground: HostLookups, changes: Iterable[Change]) -> Iterator[str]:
    """What a reader of the plan should know about whom it hits."""
    name = ground.interface
    for sentence in ground.foreign:
        yield f"{name}: {sentence}"
    for hook, (first, last) in _hooks(changes).items():
        theirs = [each for each in ground.filters if each.hook == hook and each.sees & _versions(aim)]
        if before := [each for each in theirs if each.priority < last]:
            yield (
                f"{name}: {_theirs(before)} of somebody else at its {hook} comes before ours, and what it takes the "
                f"fault misses: see tc -s filter show dev {name} {hook}"
            )
        if after := [each for each in theirs if each.priority > first]:
            yield f"{name}: {_theirs(after)} of somebody else at its {hook} comes after ours and misses what is hit"
    for host, other in ground.apart.items():
        yield f"{name}: the kernel sends to {host} by {other}, and what does not pass {name} is not hit"
    if aim.local_port is not None or any(remote.port for remote in aim.remotes):
        yield "fragments show no ports, so those between these hosts are hit whatever their port"
    if ground.is_loopback:
        yield (
            f"{ground.interface} is one pass for both ends: a packet is sent (up) and received (down) on it, "
            "so a port at one end tells requests from answers, and without one each packet is hit in both directions"
        )
    elif aim.protocol is None and not aim.is_everything and not _has_ports(aim) and 6 in aim.versions:
        yield "IPv6 finds its neighbours by packets to and from these hosts, and those are hit too"
    if whom.everything:
        yield "everything is hit: ARP, DNS, every other program of this machine"


def _has_ports(aim: Aim) -> bool:
    return aim.local_port is not None or any(remote.port is not None for remote in aim.remotes)


def _of_netem(netem: NetemWords) -> Iterator[str]:
    if netem.jitter > netem.delay:
        yield f"jitter {netem.jitter} is above delay {netem.delay}: delays below zero become zero"
    if netem.loss is not None:
        yield TRAINS


def _remotes(to: To, ground: HostLookups, versions: frozenset[int]) -> Iterator[Remote]:
    if to.host is None:
        yield Remote(None, to.port)
        return
    prefixes = [to.host] if to.name is None else ground.addresses[to.name]
    found = [prefix for each in prefixes if (prefix := ip_network(each, strict=False)).version in versions]
    if not found:
        version = " or ".join(f"IPv{each}" for each in sorted(versions))
        raise RefusedError(
            f"{to.host} has no {version} address ({', '.join(prefixes)}): take --ip away, or another host"
        )
    for prefix in found:
        yield Remote(str(prefix), to.port)

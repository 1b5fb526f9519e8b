"""Decides the verdict on a path: its kind, one sentence, the exit code, and what to type. Pure.

| kind         | what it is                                                                                 | exit |
|--------------|--------------------------------------------------------------------------------------------|-----:|
| `wide-open`  | packets of the interface's MTU reach the host                                              | 0    |
| `signalled`  | the path MTU is smaller, and a router reports it                                           | 0    |
| `clamped`    | the MSS in the host's SYN-ACK keeps TCP within the path MTU, reported or not               | 0    |
| `black-hole` | the path MTU is smaller, no router reports it, and TCP is not kept within it               | 1    |
| `undecided`  | too few replies, packets or seconds to decide                                              | 5    |

A long body that gets stuck is a problem (1) under any kind. A black hole that this machine avoids already, by the MTU
of its route or by TCP MTU probing that got the body through, is none (0).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chaoskit.pathmtu.examination import Findings
from chaoskit.pathmtu.probes import Hop, Method
from chaoskit.programs import sudo
from chaoskit.units import counted

Kind = Literal["wide-open", "signalled", "clamped", "black-hole", "undecided"]
_LEAST_IPV6 = 1280  # bytes, RFC 8200
_METHOD_NAMES: dict[Method, str] = {"echo": "pings", "udp": "UDP", "tcp": "SYNs"}
_BASE_MSS = 1024  # net.ipv4.tcp_base_mss
_STAMP = 12  # bytes that TCP's timestamps take


@dataclass(frozen=True)
class Remedy:
    """Something to type, or to ask for, and its effect."""

    what: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """The verdict. `notes` are what could not be examined, and other remarks."""

    kind: Kind
    sentence: str
    remedies: tuple[Remedy, ...]
    notes: tuple[str, ...]
    exit_code: int


def judge(findings: Findings) -> Verdict:
    """The verdict on these findings."""
    kind = _kind(findings)
    code = 5 if kind == "undecided" else int(_is_trouble(findings, kind))
    return Verdict(
        kind, _sentence(findings, kind), tuple(_remedies(findings, kind)), tuple(_notes(findings, kind)), code
    )


def _kind(found: Findings) -> Kind:
    tcp = _tcp_size(found)
    if not found.is_exact:
        return "black-hole" if _is_stuck_at_once(found) else "undecided"
    if found.ceiling is None:
        return "clamped" if tcp is not None and tcp < found.passes else "wide-open"
    if found.signal is not None:
        return "signalled"
    return "clamped" if tcp is not None and tcp <= found.passes else "black-hole"


def _tcp_size(found: Findings) -> int | None:
    """The largest packet that the offered MSS lets TCP send."""
    return None if found.mss is None else found.setup.endpoints.size_of(found.mss)


def _is_stuck(found: Findings) -> bool:
    return found.body is not None and found.body.ending == "stuck"


def _is_stuck_at_once(found: Findings) -> bool:
    """Whether no full packet of the body got through; otherwise random loss is possible."""
    body = found.body
    return _is_stuck(found) and body is not None and (body.size is None or body.acked < body.size)


def _is_avoided(found: Findings) -> bool:
    """Whether this machine already keeps its packets small enough."""
    first, is_taken = found.setup.first, found.body is not None and found.body.ending == "taken"
    is_kept = first.route_mtu is not None and first.route_mtu <= found.passes
    return not _is_stuck(found) and (is_kept or (first.mtu_probing > 0 and is_taken))


def _is_trouble(found: Findings, kind: Kind) -> bool:
    return _is_stuck(found) or (kind == "black-hole" and not _is_avoided(found))


def expected_icmp(found: Findings) -> str:
    """The ICMP message that a router should send."""
    return "fragmentation needed" if found.setup.endpoints.version == 4 else "packet too big"


def describe_hop(hop: Hop) -> str:
    """A hop, for messages."""
    match hop:
        case Hop(0, _):
            return "this machine"
        case Hop(None, address):
            return str(address)
        case Hop(index, None):
            return f"hop {index}"
        case _:
            return f"hop {hop.index} ({hop.address})"


def _sentence(found: Findings, kind: Kind) -> str:
    first, host = found.setup.first, found.setup.host
    wide = f"packets of {found.passes} bytes, all that {first.interface} takes, reach {host}"
    less = f"the path to {host} takes {found.passes} bytes, less than {first.interface}'s {first.link_mtu}"
    match kind:
        case "wide-open" | "clamped" if found.ceiling is None and _is_stuck(found):
            return f"Long bodies get stuck, but not because of packet size: {wide}."
        case "wide-open":
            return f"No MTU problem on the forward path: {wide}."
        case "clamped" if found.ceiling is None:
            return (
                f"No MTU problem on the forward path: {wide}, and an MSS of {found.mss} keeps TCP at "
                f"{_tcp_size(found)}."
            )
        case "signalled" if _is_stuck(found):
            return (
                f"Long bodies get stuck although {_signaller(found)} reports it: {less}; this machine's TCP does not "
                "react."
            )
        case "signalled":
            return f"No MTU problem on the forward path: {less}, and {_signaller(found)} reports it."
        case "clamped" if _is_stuck(found):
            return f"Long bodies get stuck although an MSS of {found.mss} keeps TCP small enough: {less}."
        case "clamped":
            return (
                f"No problem for TCP: {less}, and no router reports it, but an MSS of {found.mss} keeps TCP at "
                f"{_tcp_size(found)}; UDP and QUIC lose what is larger."
            )
        case "black-hole":
            return _black_hole(found)
        case _:
            return _undecided(found)


def _signaller(found: Findings) -> str:
    return describe_hop(found.where or Hop(None, found.signal.hop if found.signal else None))


def _black_hole(found: Findings) -> str:
    host, first = found.setup.host, found.setup.first
    what = f"packets over {found.passes} bytes" if found.is_exact else "long bodies"
    where = f"on the way to {host}"
    if found.drop_point is not None:
        where = f"after {describe_hop(found.drop_point.reached)}"
        if found.drop_point.reached.index == 0:
            where = f"{'on the first link, ' if _is_first_link(found) else ''}before {_beyond(found)}"
    unresponsive = found.drop_point is not None and found.drop_point.reached.index
    silence = f', which sends no "{expected_icmp(found)}"' if unresponsive else ", and no router reports it"
    if not _is_avoided(found):
        return f"Black hole: {what} are lost {where}{silence}."
    is_kept = first.route_mtu is not None and first.route_mtu <= found.passes
    method = f"its route keeps to {first.route_mtu}" if is_kept else "TCP MTU probing finds a smaller size"
    return f"Black hole that this machine avoids, because {method}: {what} are lost {where}{silence}."


def _is_first_link(found: Findings) -> bool:
    """Whether packets are lost on this machine's own link; unknown if the first hops never answer."""
    return found.drop_point is not None and (found.drop_point.reached.index, found.drop_point.beyond.index) == (0, 1)


def _beyond(found: Findings) -> str:
    beyond = found.drop_point.beyond if found.drop_point else Hop(None, None)
    return describe_hop(beyond) if beyond.address else found.setup.host


def _undecided(found: Findings) -> str:
    host = found.setup.host
    if found.exhausted:
        above = f", {found.ceiling} do not seem to" if found.ceiling else ""
        known = f"{found.passes} bytes pass{above}" if found.passes else f"{host} has not answered"
        what = f"{counted(found.packets, 'packet')} were" if found.exhausted == "packets" else "the time was"
        return f"Undecided, because {what} used up: {known}."
    passes = f"; {found.passes} bytes pass" if found.passes else ""
    if found.is_limited:
        return f"Undecided: {host}, or a router, limits the rate of its answers{passes}."
    if found.unreachable is not None:
        return f"Undecided: {found.unreachable.hop} says of {host}: {found.unreachable.why}{passes}."
    asked = [_METHOD_NAMES[method] for method in found.methods]
    neither = f"answers neither {' nor '.join(asked)}" if len(asked) > 1 else f"does not answer {asked[0]}"
    return f"Undecided: {host} {neither}{passes}."


def _remedies(found: Findings, kind: Kind) -> Iterator[Remedy]:
    first, host = found.setup.first, found.setup.host
    if kind == "undecided":
        yield from _next_steps(found)
    elif _is_stuck(found) and kind == "signalled":
        yield Remedy("sudo nft list ruleset", f'find and remove the rule that drops ICMP "{expected_icmp(found)}" here')
    elif _is_stuck(found) and kind != "black-hole":
        yield Remedy(
            f"curl -v --data-binary @FILE {host}:{found.setup.endpoints.port}", "see what the server does with it"
        )
    elif kind == "black-hole" and not _is_avoided(found):
        if found.is_exact and _is_first_link(found):
            yield Remedy(f"sudo ip link set dev {first.interface} mtu {found.passes}", "what the first link takes")
        elif found.is_exact:
            yield Remedy(_route(found), "this machine, to this host")
        yield Remedy(_probing(found), "this machine's TCP, to any host, after some seconds")
        if found.drop_point is not None and found.drop_point.reached.index:
            yield from _for_the_router(found, describe_hop(found.drop_point.reached))


def _route(found: Findings) -> str:
    first, endpoints = found.setup.first, found.setup.endpoints
    via = f" via {first.gateway}" if first.gateway else ""
    version = " -6" if endpoints.version == 6 else ""
    return f"sudo ip{version} route replace {endpoints.target}{via} dev {first.interface} mtu {found.passes}"


def _probing(found: Findings) -> str:
    """Linux begins to probe with segments of 1024 bytes (net.ipv4.tcp_base_mss); a smaller path MTU needs less."""
    fits = found.passes - found.setup.endpoints.size_of(_STAMP)
    less = f" net.ipv4.tcp_base_mss={fits}" if found.is_exact and fits < _BASE_MSS else ""
    return f"sudo sysctl -w net.ipv4.tcp_mtu_probing=1{less}"


def _for_the_router(found: Findings, hop: str) -> Iterator[Remedy]:
    kind = "ICMP type 3 code 4" if found.setup.endpoints.version == 4 else "ICMPv6 type 2"
    yield Remedy(f"let {kind} through at {hop}", "the cause; for the operator of that router")
    yield Remedy(
        "sudo nft add rule inet filter forward tcp flags syn tcp option maxseg size set rt mtu",
        f"at {hop} instead; TCP only",
    )


def _next_steps(found: Findings) -> Iterator[Remedy]:
    place = _host_and_port(found)
    if found.exhausted == "packets":
        yield Remedy(f"chaoskit pmtu {place} --max-packets {max(200, 2 * found.packets)}", "more packets")
    elif found.exhausted == "time" or found.is_limited:
        yield Remedy(f"chaoskit pmtu {place} --max-time 2min --max-packets 300", "more time, for slow replies")
    elif found.unreachable is not None:
        yield Remedy(
            f"chaoskit pmtu {found.unreachable.hop}", "the path up to that router; its operator knows the rest"
        )
    elif not found.setup.may_send_body:
        yield Remedy(f"chaoskit pmtu {found.setup.host}:PORT", "an open port, to test TCP")
    elif not found.is_privileged:
        yield Remedy(f"{sudo()} pmtu {place}", "raw SYNs, and pings")
    else:
        yield Remedy(f"ip route get {found.setup.endpoints.target}", "shows the route to it")


def _host_and_port(found: Findings) -> str:
    host = found.setup.host
    bracketed = f"[{host}]" if ":" in host else host
    return f"{bracketed}:{found.setup.endpoints.port}" if found.setup.may_send_body else host


def _notes(found: Findings, kind: Kind) -> Iterator[str]:
    first, host, body = found.setup.first, found.setup.host, found.body
    if found.is_one_way:
        yield (
            f"large echo requests reach {host}, but no reply comes back: the return path has a smaller MTU and a "
            "black hole, or the host does not answer large pings"
        )
    if first.cached_mtu is not None:
        yield f"a router had reported {first.cached_mtu} bytes before; cached for {first.cached_for} s more"
    if found.setup.endpoints.version == 6 and found.is_exact and found.passes < _LEAST_IPV6:
        yield f"IPv6 requires {_LEAST_IPV6} bytes of every link: the link itself has to be fixed"
    if kind == "black-hole" and found.mss is not None and found.is_exact:
        yield f"the MSS of {found.mss} that {host} offers allows packets of {_tcp_size(found)}"
    if found.exhausted and kind != "undecided":
        yield (
            f"no more {found.exhausted} left, so the examination is incomplete: give more with --max-packets and "
            "--max-time"
        )
    if not found.is_privileged:
        method = f"{sudo()} pmtu {_host_and_port(found)}"
        yield f"without CAP_NET_RAW no SYN could be sent for the MSS that {host} offers: {method}"
    yield from _about_the_body(found, body.ending if body else "")
    yield (
        f"the return path, from {host} to here, cannot be probed from here: run chaoskit pmtu there, towards this "
        "machine"
    )


def _about_the_body(found: Findings, ending: str) -> Iterator[str]:
    host, port = found.setup.host, found.setup.endpoints.port
    if not found.setup.may_send_body:
        yield f"no port was given, so no long body was sent: chaoskit pmtu {host}:{port}"
    elif found.port == "closed" or ending == "refused":
        yield f"port {port} is closed, so no long body could be sent: give an open one"
    elif ending == "silent":
        yield f"port {port} does not answer ({found.body.why if found.body else ''}), so no long body could be sent"
    elif ending == "cut":
        yield (
            f"the server closed the connection before the long body was decided: {host}:{port} may need TLS or "
            "another path"
        )
    elif ending == "slow":
        yield "the long body was neither taken nor stuck within its time"
    elif ending == "unsent":
        yield "too few packets were left for a long body: --max-packets 120"

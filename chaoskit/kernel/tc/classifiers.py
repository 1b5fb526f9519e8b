"""Encodes and decodes `knobs.Match` as attributes of matchall, flower and u32.

Rules (net/sched/cls_matchall.c, cls_flower.c, cls_u32.c):
- What reads back is `normalized(asked)`: prefixes in canonical form, /0 prefixes left out.
- `decode` accepts exactly what `encode` produces. Any other attribute, flag or action makes a filter foreign.
- Filters are not offloaded (skip_hw): a network card cannot redirect to an ifb.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_network
from socket import IPPROTO_TCP, IPPROTO_UDP
from typing import Literal

from pyroute2.netlink import nlmsg_atoms
from pyroute2.netlink.rtnl.tcmsg import plugins

from chaoskit.errors import RefusedError
from chaoskit.kernel.attributes import Attributes, pack, unpack
from chaoskit.kernel.tc import actions
from chaoskit.kernel.tc.actions import Action
from chaoskit.knobs import Filter, Flow, Match, MatchAll, U32Key, U32Match

Family = Literal["all", "ip", "ipv6"]
FAMILIES: dict[Family, int] = {"all": 0x0003, "ip": 0x0800, "ipv6": 0x86DD}  # linux/if_ether.h
_KINDS: dict[type[Match], str] = {MatchAll: "matchall", Flow: "flower", U32Match: "u32"}

# linux/pkt_cls.h, linux/tc_act/tc_mirred.h
_MATCHALL_ACT, _MATCHALL_FLAGS, _MATCHALL_COUNTS, _MATCHALL_PAD = 2, 3, 4, 5
_U32_HASH, _U32_SEL, _U32_ACT, _U32_COUNTS, _U32_FLAGS, _U32_PAD = 2, 5, 7, 9, 11, 12
_FLOWER_ACT, _FLOWER_TYPE, _FLOWER_PROTOCOL, _FLOWER_FLAGS = 3, 8, 9, 22
_FLOWER_IN_HW, _FLOWER_BITS, _FLOWER_BITS_MASK, _IS_FRAGMENT = 86, 47, 48, 1
_FLOWER_ADDRESSES = {"ip": ((10, 11), (12, 13)), "ipv6": ((14, 15), (16, 17))}  # source, destination: value, mask
_FLOWER_PORTS = {IPPROTO_TCP: ((18, 35), (19, 36)), IPPROTO_UDP: ((20, 37), (21, 38))}
_SKIP_HW, _SKIP_SW = 1, 2
_SELECTOR, _KEY, _TERMINAL = struct.Struct("=BBBxHHhhI"), struct.Struct("=4s4sii"), 1


def register() -> None:
    """Make pyroute2 pass the options of these classifiers as bytes."""
    plugins.update(dict.fromkeys(_KINDS.values(), _Plugin))


def kind(match: Match) -> str:
    """The name of the classifier of this match."""
    return _KINDS[type(match)]


def encode(wanted: Filter, then: Action) -> bytes:
    """The options of a filter with this action.

    Raises RefusedError for a flow that flower cannot match.
    """
    flags, action = struct.pack("=I", _SKIP_HW), actions.encode(then)
    match wanted.match:
        case MatchAll():
            return pack({_MATCHALL_FLAGS: flags, _MATCHALL_ACT: action})
        case Flow() as flow:
            return pack({**_encode_flow(wanted.family, flow), _FLOWER_FLAGS: flags, _FLOWER_ACT: action})
        case U32Match(keys):
            return pack({_U32_SEL: _encode_keys(keys), _U32_FLAGS: flags, _U32_ACT: action})


def decode(kind: str, family: Family, options: bytes) -> tuple[Match, Action] | None:
    """The match and the action; None for a foreign filter."""
    attributes = unpack(options)
    match kind:
        case "matchall":
            found: Match | None = MatchAll()
            known = {_MATCHALL_ACT, _MATCHALL_FLAGS, _MATCHALL_COUNTS, _MATCHALL_PAD}
            flags, action = _MATCHALL_FLAGS, _MATCHALL_ACT
        case "flower":
            found = _decode_flow(family, attributes)
            known = {_FLOWER_ACT, _FLOWER_FLAGS, _FLOWER_IN_HW, *(_encode_flow(family, found) if found else ())}
            flags, action = _FLOWER_FLAGS, _FLOWER_ACT
        case "u32":
            found = _decode_keys(attributes.get(_U32_SEL, b""))
            known = {_U32_SEL, _U32_ACT, _U32_FLAGS, _U32_HASH, _U32_COUNTS, _U32_PAD}
            flags, action = _U32_FLAGS, _U32_ACT
        case _:
            return None
    then = actions.decode(attributes.get(action, b""))
    if found is None or then is None or attributes.keys() - known:
        return None
    if struct.unpack("=I", attributes.get(flags, bytes(4)))[0] & _SKIP_SW:
        return None
    return found, then


def counters(kind: str, options: bytes) -> tuple[int, int, int]:
    """The counters of a chaoskit filter, as `actions.counters` returns them."""
    action = {"matchall": _MATCHALL_ACT, "flower": _FLOWER_ACT, "u32": _U32_ACT}.get(kind, 0)
    return actions.counters(unpack(options).get(action, b""))


def normalized(wanted: Filter) -> Filter:
    """What `read` returns after `wanted` was written."""
    if not isinstance(wanted.match, Flow):
        return wanted
    flow = wanted.match
    return replace(
        wanted,
        match=replace(flow, source=_normalized_prefix(flow.source), destination=_normalized_prefix(flow.destination)),
    )


def _normalized_prefix(prefix: str | None) -> str | None:
    if prefix is None:
        return None
    network = ip_network(prefix, strict=False)
    return str(network) if network.prefixlen else None


def _encode_flow(family: Family, asked: Flow) -> Attributes:
    flow = replace(asked, source=_normalized_prefix(asked.source), destination=_normalized_prefix(asked.destination))
    ports = (flow.source_port, flow.destination_port)
    if family == "all" and flow != Flow():
        raise RefusedError(f"flower cannot match {flow} in frames of any family: give ip or ipv6")
    if flow.protocol not in _FLOWER_PORTS and ports != (None, None):
        raise RefusedError("flower matches the ports of TCP and UDP alone: give tcp or udp with a port")
    found: Attributes = {} if family == "all" else {_FLOWER_TYPE: struct.pack(">H", FAMILIES[family])}
    if flow.protocol is not None:
        found[_FLOWER_PROTOCOL] = bytes([flow.protocol])
        for port, places in zip(ports, _FLOWER_PORTS.get(flow.protocol, ()), strict=False):
            if port is not None:
                found |= dict(zip(places, (struct.pack(">H", port), b"\xff\xff"), strict=True))
    for prefix, places in zip((flow.source, flow.destination), _FLOWER_ADDRESSES.get(family, ()), strict=False):
        if prefix is not None:
            network = ip_network(prefix)
            if network.version != (4 if family == "ip" else 6):
                raise RefusedError(f"{prefix} is no address of {family}: a filter matches one family")
            found |= dict(zip(places, (network.network_address.packed, network.netmask.packed), strict=True))
    if flow.is_fragment is not None:
        bits = _IS_FRAGMENT if flow.is_fragment else 0
        found |= {_FLOWER_BITS: struct.pack(">I", bits), _FLOWER_BITS_MASK: struct.pack(">I", _IS_FRAGMENT)}
    return found


def _decode_flow(family: Family, found: Attributes) -> Flow | None:
    """The flow of these attributes; None if no flow encodes to exactly them."""
    try:
        source, destination = (_prefix(found, places) for places in _FLOWER_ADDRESSES.get(family, ((0, 0), (0, 0))))
        protocol = _number(found.get(_FLOWER_PROTOCOL))
        places = _FLOWER_PORTS.get(protocol or 0, ((0, 0), (0, 0)))
        source_port, destination_port = (_number(found.get(value)) for value, _ in places)
        bits = _number(found.get(_FLOWER_BITS))
        is_fragment = None if bits is None else bool(bits & _IS_FRAGMENT)
        flow = Flow(protocol, source, destination, source_port, destination_port, is_fragment)
        encoded = _encode_flow(family, flow)
    except (ValueError, RefusedError):
        return None
    return flow if all(found.get(number) == value for number, value in encoded.items()) else None


def _prefix(found: Attributes, places: tuple[int, int]) -> str | None:
    """Raises ValueError when the mask is not that of a prefix."""
    value, mask = (found.get(place) for place in places)
    if value is None or mask is None:
        return None
    width, bits = len(mask) * 8, int.from_bytes(mask, "big")
    length = bits.bit_count()
    if bits != (1 << width) - (1 << width - length):
        raise ValueError(mask)
    return str(ip_network((value, length)))


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value, "big")


def _encode_keys(keys: tuple[U32Key, ...]) -> bytes:
    header = _SELECTOR.pack(_TERMINAL, 0, len(keys), 0, 0, 0, 0, 0)
    return header + b"".join(
        _KEY.pack(key.mask.to_bytes(4, "big"), key.value.to_bytes(4, "big"), key.offset, 0) for key in keys
    )


def _decode_keys(selector: bytes) -> U32Match | None:
    raw = list(_KEY.iter_unpack(selector[_SELECTOR.size :])) if selector else []
    keys = U32Match(
        tuple(
            U32Key(int.from_bytes(value, "big"), int.from_bytes(mask, "big"), offset) for mask, value, offset, _ in raw
        )
    )
    return keys if selector == _encode_keys(keys.keys) else None


class _Plugin:
    """The interface that pyroute2 expects of a classifier: its options."""

    parent = 0
    options = nlmsg_atoms.cdata

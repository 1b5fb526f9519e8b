"""What a well-kept middlebox does: handshakes that pass are made to ask for segments that fit.

The rules are those of `nft add rule inet T C ... tcp flags syn tcp option maxseg size set MSS`, byte for byte. The
kernel only ever lowers what a handshake asks for (net/netfilter/nft_exthdr.c). What is there under our name but is
not exactly what we would have made is `Foreign`. Each function acts in the namespace behind `fd`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from pyroute2.nftables.expressions import genex

from chaoskit.kernel.netfilter import nftables
from chaoskit.kernel.netfilter.nftables import ACCEPT, INET, Owned
from chaoskit.knobs import Clamp, Flow, Foreign, Handshakes

_MANGLE = -150  # NF_IP_PRI_MANGLE, linux/netfilter_ipv4.h
_FORWARD = "forward"
_Hook = Literal["egress", "ingress"]
_Family = Literal["ip", "ipv6"]
_CHAINS: dict[_Hook, str] = {"egress": "postrouting", "ingress": "prerouting"}  # named like their hooks
_TCP, _SYN, _MSS = 6, b"\x02", 2  # RFC 9293: protocol, the flag, the option's kind
_DESTINATION_PORT, _FLAGS = 2, 13  # RFC 9293: offsets; the source port comes first
_LINK_NAME = 16  # IFNAMSIZ, linux/if.h


@dataclass(frozen=True)
class _Word:
    """A number of linux/netfilter/nf_tables.h, and its name there, by which pyroute2 shows it."""

    number: int
    name: str


_REGISTER = _Word(1, "NFT_REG_1")
_EQUAL, _NOT_EQUAL = _Word(0, "NFT_CMP_EQ"), _Word(1, "NFT_CMP_NEQ")
_LINKS: dict[_Hook, _Word] = {"egress": _Word(7, "NFT_META_OIFNAME"), "ingress": _Word(6, "NFT_META_IIFNAME")}
_FAMILY, _PROTOCOL = _Word(15, "NFT_META_NFPROTO"), _Word(16, "NFT_META_L4PROTO")
_NETWORK, _TRANSPORT = _Word(1, "NFT_PAYLOAD_NETWORK_HEADER"), _Word(2, "NFT_PAYLOAD_TRANSPORT_HEADER")
_TCP_OPTION = _Word(1, "NFT_EXTHDR_OP_TCPOPT")
_FAMILIES: dict[_Family, bytes] = {"ip": b"\x02", "ipv6": b"\x0a"}  # linux/netfilter.h: NFPROTO_IPV4, NFPROTO_IPV6
_SOURCES: dict[_Family, int] = {
    "ip": 12,
    "ipv6": 8,
}  # RFC 791, RFC 8200: offset of the source address; the destination's follows
_LENGTHS: dict[_Family, int] = {"ip": 4, "ipv6": 16}


@dataclass(frozen=True)
class _Told:
    """A rule of ours: the segments' size, and whose handshakes; None: the forwarded ones."""

    mss: int
    whose: Handshakes | None


_Value = _Word | int | bytes
_Step = tuple[str, dict[str, _Value]]
"""An expression: its name, and its attributes without their prefix."""


def read(fd: int, name: str) -> Clamp | Foreign | None:
    """The segments that handshakes may ask for, and whose; None when anything goes."""
    table = _table(name)
    rules = nftables.rules(fd, INET, table)
    if not rules and not nftables.has(fd, INET, table):
        return None
    return _together([_decode(rule) for rule in rules]) or Foreign(f"table {table} of nftables")


def write(fd: int, owned: Owned, name: str, wanted: Clamp | None) -> None:
    """Clamp, or let go."""
    table = _table(name)
    nftables.drop(owned, table)
    if wanted is None:
        return
    whose = wanted.of or (None,)
    nft = nftables.make(fd, owned, INET, table)
    for chain in dict.fromkeys(_chain(each) for each in whose):
        nft.chain("add", table=table, name=chain, hook=chain, type="filter", priority=_MANGLE, policy=ACCEPT)
    for each in whose:
        expressions = [_encode(step) for step in _steps(wanted.mss, each)]
        nft.rule("add", table=table, chain=_chain(each), expressions=(expressions,))


def _together(told: Sequence[_Told | None]) -> Clamp | None:
    """The clamp that has exactly these rules, in this order."""
    known = [each for each in told if each is not None]
    whose = tuple(each.whose for each in known if each.whose is not None)
    if len(known) < len(told) or len({each.mss for each in known}) != 1 or len(whose) not in (0, len(told)):
        return None
    clamp = Clamp(known[0].mss, whose or None)
    return clamp if len(told) == len(clamp.of or (None,)) else None


def _chain(whose: Handshakes | None) -> str:
    return _CHAINS[whose.hook] if whose is not None else _FORWARD


def _steps(mss: int, whose: Handshakes | None) -> Iterator[_Step]:
    """A rule's expressions, in the order in which nft puts them."""
    flow = whose.flow if whose is not None else Flow(_TCP)
    if whose is not None:
        yield from _is(_meta(_LINKS[whose.hook]), whose.link.encode().ljust(_LINK_NAME, b"\0"))
        yield from _is(_meta(_FAMILY), _FAMILIES[whose.family])
        yield from _is_from(_SOURCES[whose.family], flow.source)
        yield from _is_from(_SOURCES[whose.family] + _LENGTHS[whose.family], flow.destination)
    yield from _is(_meta(_PROTOCOL), bytes([_TCP]))
    yield from _is_at(flow.source_port, flow.destination_port)
    yield _payload(_TRANSPORT, _FLAGS, 1)
    yield _and(_SYN)
    yield _compare(_NOT_EQUAL, b"\0")
    yield "immediate", {"DREG": _REGISTER, "DATA": struct.pack(">H", mss)}
    yield "exthdr", {"SREG": _REGISTER, "TYPE": _MSS, "OFFSET": 2, "LEN": 2, "OP": _TCP_OPTION}


def _is(load: _Step, value: bytes) -> Iterator[_Step]:
    yield load
    yield _compare(_EQUAL, value)


def _is_from(offset: int, prefix: str | None) -> Iterator[_Step]:
    """Whether an address is in the prefix: of whole bytes no more than those are looked at."""
    if prefix is None:
        return
    net = ip_network(prefix)
    whole, rest = divmod(net.prefixlen, 8)
    length = whole if not rest else net.max_prefixlen // 8
    yield _payload(_NETWORK, offset, length)
    if rest:
        yield _and(net.netmask.packed)
    yield _compare(_EQUAL, net.network_address.packed[:length])


def _is_at(source: int | None, destination: int | None) -> Iterator[_Step]:
    """Whether the ports are these: both are looked at in one."""
    ports = [port for port in (source, destination) if port is not None]
    if ports:
        load = _payload(_TRANSPORT, _DESTINATION_PORT if source is None else 0, 2 * len(ports))
        yield from _is(load, struct.pack(f">{len(ports)}H", *ports))


def _meta(key: _Word) -> _Step:
    return "meta", {"KEY": key, "DREG": _REGISTER}


def _payload(base: _Word, offset: int, length: int) -> _Step:
    return "payload", {"DREG": _REGISTER, "BASE": base, "OFFSET": offset, "LEN": length}


def _and(mask: bytes) -> _Step:
    size = len(mask)
    return "bitwise", {"SREG": _REGISTER, "DREG": _REGISTER, "LEN": size, "MASK": mask, "XOR": bytes(size)}


def _compare(how: _Word, value: bytes) -> _Step:
    return "cmp", {"SREG": _REGISTER, "OP": how, "DATA": value}


def _encode(step: _Step) -> Any:
    name, attributes = step
    return genex(name, {key: _wired(value) for key, value in attributes.items()})


def _wired(value: _Value) -> Any:
    match value:
        case _Word(number):
            return number
        case bytes():
            return {"attrs": [("NFTA_DATA_VALUE", value)]}
        case _:
            return value


_Seen = tuple[str, Mapping[str, Any]]


def _decode(rule: Any) -> _Told | None:
    """What the rule is about; None when it is none of ours."""
    seen = [_seen(each) for each in rule.get_attr("NFTA_RULE_EXPRESSIONS") or ()]
    guess = _guess(seen)
    ours = list(_steps(guess.mss, guess.whose))
    is_ours = len(ours) == len(seen) and all(map(_is_same, ours, seen))
    return guess if is_ours and rule.get_attr("NFTA_RULE_CHAIN") == _chain(guess.whose) else None


def _seen(expression: Any) -> _Seen:
    name, data = expression.get_attr("NFTA_EXPR_NAME"), expression.get_attr("NFTA_EXPR_DATA")
    prefix = f"NFTA_{name.upper()}_"
    return name, {key.removeprefix(prefix): _shown(value) for key, value in (data["attrs"] if data else ())}


def _shown(value: Any) -> Any:
    """Data as bytes: pyroute2 shows them so, or as their hexadecimal digits between colons."""
    data = value.get_attr("NFTA_DATA_VALUE") if hasattr(value, "get_attr") else value
    return bytes.fromhex(data.replace(":", "")) if data is not value and isinstance(data, str) else data


def _octets(shown: Any) -> bytes:
    """Data; of somebody else's rule it may be a verdict as well, which is nothing here."""
    return shown if isinstance(shown, bytes) else b""


def _is_same(ours: _Step, seen: _Seen) -> bool:
    """Whether the kernel shows what we would have made; of what we do not say it has its own default."""
    said = {key: value.name if isinstance(value, _Word) else value for key, value in ours[1].items()}
    return ours[0] == seen[0] and all(seen[1].get(key) == value for key, value in said.items())


_At = tuple[Any, ...]
"""What is compared: a key of the packet's, or a header and an offset in it."""


def _guess(seen: Sequence[_Seen]) -> _Told:
    """What a rule with these comparisons is, if it is one of ours."""
    values: dict[_At, bytes] = {}
    masks: dict[_At, bytes] = {}
    at: _At = ()
    mss = 0
    for name, told in seen:
        match name:
            case "meta":
                at = (told.get("KEY"),)
            case "payload":
                at = (told.get("BASE"), told.get("OFFSET"))
            case "bitwise":
                masks[at] = _octets(told.get("MASK"))
            case "cmp":
                values[at] = _octets(told.get("DATA"))
            case "immediate":
                mss = _number(_octets(told.get("DATA"))) or 0
    return _Told(mss, _whose(values, masks))


def _whose(values: Mapping[_At, bytes], masks: Mapping[_At, bytes]) -> Handshakes | None:
    family = next((family for family, value in _FAMILIES.items() if values.get((_FAMILY.name,)) == value), None)
    hook = next((hook for hook, word in _LINKS.items() if (word.name,) in values), None)
    if family is None or hook is None:
        return None
    length = _LENGTHS[family]
    source, destination = (
        _prefix(values.get((_NETWORK.name, at)), masks.get((_NETWORK.name, at)), length)
        for at in (_SOURCES[family], _SOURCES[family] + length)
    )
    first = values.get((_TRANSPORT.name, 0), b"")
    second = first[2:] or values.get((_TRANSPORT.name, _DESTINATION_PORT), b"")
    link = values[_LINKS[hook].name,].rstrip(b"\0").decode(errors="replace")
    return Handshakes(link, hook, family, Flow(_TCP, source, destination, _number(first[:2]), _number(second)))


def _number(octets: bytes) -> int | None:
    """Of 16 bits, as ports and sizes are."""
    return int.from_bytes(octets, "big") if len(octets) == 2 else None


def _prefix(address: bytes | None, mask: bytes | None, length: int) -> str | None:
    if not address or len(address) > length:
        return None
    bits = sum(each.bit_count() for each in mask) if mask else 8 * len(address)
    return str(ip_network((ip_address(address.ljust(length, b"\0")), min(bits, 8 * length)), strict=False))


def _table(name: str) -> str:
    return f"chaoskit-{name}"

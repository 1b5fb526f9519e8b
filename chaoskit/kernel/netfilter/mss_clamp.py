"""Clamps the MSS option of TCP handshakes with nftables, as middleboxes do.

The rules are those of `nft add rule inet T C ... tcp flags syn tcp option maxseg size set MSS`, byte for byte. The
kernel only ever lowers the MSS option (net/netfilter/nft_exthdr.c). A table with our name but other rules is
`Foreign`. Each function acts in the namespace behind `fd`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from pyroute2.nftables.expressions import genex

from chaoskit.kernel.netfilter import nftables
from chaoskit.kernel.netfilter.nftables import ACCEPT, INET, OwnedTables
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
class _Constant:
    """A constant of linux/netfilter/nf_tables.h: its number, and its name, which pyroute2 decodes it to."""

    number: int
    name: str


_REGISTER = _Constant(1, "NFT_REG_1")
_EQUAL, _NOT_EQUAL = _Constant(0, "NFT_CMP_EQ"), _Constant(1, "NFT_CMP_NEQ")
_LINKS: dict[_Hook, _Constant] = {
    "egress": _Constant(7, "NFT_META_OIFNAME"),
    "ingress": _Constant(6, "NFT_META_IIFNAME"),
}
_FAMILY, _PROTOCOL = _Constant(15, "NFT_META_NFPROTO"), _Constant(16, "NFT_META_L4PROTO")
_NETWORK, _TRANSPORT = _Constant(1, "NFT_PAYLOAD_NETWORK_HEADER"), _Constant(2, "NFT_PAYLOAD_TRANSPORT_HEADER")
_TCP_OPTION = _Constant(1, "NFT_EXTHDR_OP_TCPOPT")
_FAMILIES: dict[_Family, bytes] = {"ip": b"\x02", "ipv6": b"\x0a"}  # linux/netfilter.h: NFPROTO_IPV4, NFPROTO_IPV6
_SOURCES: dict[_Family, int] = {
    "ip": 12,
    "ipv6": 8,
}  # RFC 791, RFC 8200: offset of the source address; the destination's follows
_LENGTHS: dict[_Family, int] = {"ip": 4, "ipv6": 16}


@dataclass(frozen=True)
class _ParsedRule:
    """A rule of chaoskit: the MSS, and the handshakes; None: all forwarded ones."""

    mss: int
    handshakes: Handshakes | None


_Value = _Constant | int | bytes
_Expression = tuple[str, dict[str, _Value]]
"""An expression: its name, and its attributes without their prefix."""


def read(fd: int, name: str) -> Clamp | Foreign | None:
    """The clamp in effect; None without one."""
    table = _table(name)
    rules = nftables.rules(fd, INET, table)
    if not rules and not nftables.exists(fd, INET, table):
        return None
    return _combine([_decode(rule) for rule in rules]) or Foreign(f"table {table} of nftables")


def write(fd: int, owned: OwnedTables, name: str, wanted: Clamp | None) -> None:
    """Set the clamp, or remove it."""
    table = _table(name)
    nftables.delete(owned, table)
    if wanted is None:
        return
    handshakes = wanted.of or (None,)
    nft = nftables.create(fd, owned, INET, table)
    for chain in dict.fromkeys(_chain(each) for each in handshakes):
        nft.chain("add", table=table, name=chain, hook=chain, type="filter", priority=_MANGLE, policy=ACCEPT)
    for each in handshakes:
        expressions = [_encode(step) for step in _expressions(wanted.mss, each)]
        nft.rule("add", table=table, chain=_chain(each), expressions=(expressions,))


def _combine(parsed: Sequence[_ParsedRule | None]) -> Clamp | None:
    """The clamp with exactly these rules, in this order; None if there is no such clamp."""
    known = [each for each in parsed if each is not None]
    handshakes = tuple(each.handshakes for each in known if each.handshakes is not None)
    if len(known) < len(parsed) or len({each.mss for each in known}) != 1 or len(handshakes) not in (0, len(parsed)):
        return None
    clamp = Clamp(known[0].mss, handshakes or None)
    return clamp if len(parsed) == len(clamp.of or (None,)) else None


def _chain(handshakes: Handshakes | None) -> str:
    return _CHAINS[handshakes.hook] if handshakes is not None else _FORWARD


def _expressions(mss: int, handshakes: Handshakes | None) -> Iterator[_Expression]:
    """A rule's expressions, in the order of nft."""
    flow = handshakes.flow if handshakes is not None else Flow(_TCP)
    if handshakes is not None:
        yield from _match_value(_meta(_LINKS[handshakes.hook]), handshakes.link.encode().ljust(_LINK_NAME, b"\0"))
        yield from _match_value(_meta(_FAMILY), _FAMILIES[handshakes.family])
        yield from _match_prefix(_SOURCES[handshakes.family], flow.source)
        yield from _match_prefix(_SOURCES[handshakes.family] + _LENGTHS[handshakes.family], flow.destination)
    yield from _match_value(_meta(_PROTOCOL), bytes([_TCP]))
    yield from _match_ports(flow.source_port, flow.destination_port)
    yield _payload(_TRANSPORT, _FLAGS, 1)
    yield _and(_SYN)
    yield _compare(_NOT_EQUAL, b"\0")
    yield "immediate", {"DREG": _REGISTER, "DATA": struct.pack(">H", mss)}
    yield "exthdr", {"SREG": _REGISTER, "TYPE": _MSS, "OFFSET": 2, "LEN": 2, "OP": _TCP_OPTION}


def _match_value(load: _Expression, value: bytes) -> Iterator[_Expression]:
    yield load
    yield _compare(_EQUAL, value)


def _match_prefix(offset: int, prefix: str | None) -> Iterator[_Expression]:
    """Compares an address with the prefix; whole bytes of a prefix are loaded alone, as nft does."""
    if prefix is None:
        return
    net = ip_network(prefix)
    whole, rest = divmod(net.prefixlen, 8)
    length = whole if not rest else net.max_prefixlen // 8
    yield _payload(_NETWORK, offset, length)
    if rest:
        yield _and(net.netmask.packed)
    yield _compare(_EQUAL, net.network_address.packed[:length])


def _match_ports(source: int | None, destination: int | None) -> Iterator[_Expression]:
    """Compares the ports; both are compared in one load."""
    ports = [port for port in (source, destination) if port is not None]
    if ports:
        load = _payload(_TRANSPORT, _DESTINATION_PORT if source is None else 0, 2 * len(ports))
        yield from _match_value(load, struct.pack(f">{len(ports)}H", *ports))


def _meta(key: _Constant) -> _Expression:
    return "meta", {"KEY": key, "DREG": _REGISTER}


def _payload(base: _Constant, offset: int, length: int) -> _Expression:
    return "payload", {"DREG": _REGISTER, "BASE": base, "OFFSET": offset, "LEN": length}


def _and(mask: bytes) -> _Expression:
    size = len(mask)
    return "bitwise", {"SREG": _REGISTER, "DREG": _REGISTER, "LEN": size, "MASK": mask, "XOR": bytes(size)}


def _compare(how: _Constant, value: bytes) -> _Expression:
    return "cmp", {"SREG": _REGISTER, "OP": how, "DATA": value}


def _encode(step: _Expression) -> Any:
    name, attributes = step
    return genex(name, {key: _attribute_value(value) for key, value in attributes.items()})


def _attribute_value(value: _Value) -> Any:
    match value:
        case _Constant(number):
            return number
        case bytes():
            return {"attrs": [("NFTA_DATA_VALUE", value)]}
        case _:
            return value


_DecodedExpression = tuple[str, Mapping[str, Any]]


def _decode(rule: Any) -> _ParsedRule | None:
    """The parsed rule; None for a foreign rule."""
    seen = [_decode_expression(each) for each in rule.get_attr("NFTA_RULE_EXPRESSIONS") or ()]
    guess = _parse(seen)
    ours = list(_expressions(guess.mss, guess.handshakes))
    is_ours = len(ours) == len(seen) and all(map(_is_same, ours, seen))
    return guess if is_ours and rule.get_attr("NFTA_RULE_CHAIN") == _chain(guess.handshakes) else None


def _decode_expression(expression: Any) -> _DecodedExpression:
    name, data = expression.get_attr("NFTA_EXPR_NAME"), expression.get_attr("NFTA_EXPR_DATA")
    prefix = f"NFTA_{name.upper()}_"
    return name, {key.removeprefix(prefix): _shown(value) for key, value in (data["attrs"] if data else ())}


def _shown(value: Any) -> Any:
    """Data as bytes: pyroute2 shows them so, or as their hexadecimal digits between colons."""
    data = value.get_attr("NFTA_DATA_VALUE") if hasattr(value, "get_attr") else value
    return bytes.fromhex(data.replace(":", "")) if data is not value and isinstance(data, str) else data


def _octets(shown: Any) -> bytes:
    """Data as bytes; b"" for the verdicts that foreign rules may have."""
    return shown if isinstance(shown, bytes) else b""


def _is_same(ours: _Expression, seen: _DecodedExpression) -> bool:
    """Whether the kernel shows what we would encode; attributes that we leave out have kernel defaults."""
    expected = {key: value.name if isinstance(value, _Constant) else value for key, value in ours[1].items()}
    return ours[0] == seen[0] and all(seen[1].get(key) == value for key, value in expected.items())


_At = tuple[Any, ...]
"""What a comparison loads: a meta key, or a header and an offset in it."""


def _parse(seen: Sequence[_DecodedExpression]) -> _ParsedRule:
    """The rule with these expressions, on the assumption that it is ours."""
    values: dict[_At, bytes] = {}
    masks: dict[_At, bytes] = {}
    at: _At = ()
    mss = 0
    for name, parsed in seen:
        match name:
            case "meta":
                at = (parsed.get("KEY"),)
            case "payload":
                at = (parsed.get("BASE"), parsed.get("OFFSET"))
            case "bitwise":
                masks[at] = _octets(parsed.get("MASK"))
            case "cmp":
                values[at] = _octets(parsed.get("DATA"))
            case "immediate":
                mss = _number(_octets(parsed.get("DATA"))) or 0
    return _ParsedRule(mss, _parse_handshakes(values, masks))


def _parse_handshakes(values: Mapping[_At, bytes], masks: Mapping[_At, bytes]) -> Handshakes | None:
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
    """A 16-bit number, as ports and sizes are; None for other lengths."""
    return int.from_bytes(octets, "big") if len(octets) == 2 else None


def _prefix(address: bytes | None, mask: bytes | None, length: int) -> str | None:
    if not address or len(address) > length:
        return None
    bits = sum(each.bit_count() for each in mask) if mask else 8 * len(address)
    return str(ip_network((ip_address(address.ljust(length, b"\0")), min(bits, 8 * length)), strict=False))


def _table(name: str) -> str:
    return f"chaoskit-{name}"

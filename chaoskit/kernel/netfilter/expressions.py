"""Encodes what rules of nftables do, and decodes what the kernel shows of them.

Each function yields expressions as nft(8) does, byte for byte: registers, lengths and order included.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Literal, Union

from pyroute2.netlink.nfnetlink.nftsocket import nft_contains_expr
from pyroute2.nftables.expressions import genex

from chaoskit.middlebox import TcpFlow

TCP = 6
DESTINATION_PORT, FLAGS = 2, 13  # RFC 9293: offsets in a TCP header; the source port comes first
_LINK_NAME = 16  # IFNAMSIZ, linux/if.h
Family = Literal["ip", "ipv6"]


@dataclass(frozen=True)
class Constant:
    """A constant of linux/netfilter/nf_tables.h: its number, and its name, which pyroute2 decodes it to."""

    number: int
    name: str


REGISTER = Constant(1, "NFT_REG_1")
EQUAL, NOT_EQUAL = Constant(0, "NFT_CMP_EQ"), Constant(1, "NFT_CMP_NEQ")
GREATER = Constant(4, "NFT_CMP_GT")
NETWORK, TRANSPORT = Constant(1, "NFT_PAYLOAD_NETWORK_HEADER"), Constant(2, "NFT_PAYLOAD_TRANSPORT_HEADER")
_LINKS: dict[Literal["egress", "ingress"], Constant] = {
    "egress": Constant(7, "NFT_META_OIFNAME"),
    "ingress": Constant(6, "NFT_META_IIFNAME"),
}
_FAMILY, PROTOCOL = Constant(15, "NFT_META_NFPROTO"), Constant(16, "NFT_META_L4PROTO")
_FAMILIES: dict[Family, bytes] = {"ip": b"\x02", "ipv6": b"\x0a"}  # linux/netfilter.h: NFPROTO_IPV4, NFPROTO_IPV6
SOURCES: dict[Family, int] = {"ip": 12, "ipv6": 8}
"""RFC 791, RFC 8200: offset of the source address; the destination's follows."""
LENGTHS: dict[Family, int] = {"ip": 4, "ipv6": 16}

_VERDICT_REGISTER = Constant(0, "NFT_REG_VERDICT")
_VERDICTS = {
    "accept": Constant(1, "NF_ACCEPT"),
    "drop": Constant(0, "NF_DROP"),
    "jump": Constant(-3, "NFT_JUMP"),
    "goto": Constant(-4, "NFT_GOTO"),
}


@dataclass(frozen=True)
class Verdict:
    """What happens to a packet, and in which chain it goes on."""

    code: Constant
    chain: str = ""


Value = Union[Constant, Verdict, int, bytes, frozenset[str], str, "Expression"]
Expression = tuple[str, Mapping[str, Value]]
"""An expression: its name, and its attributes without their prefix."""
DecodedExpression = tuple[str, Mapping[str, Any]]


def match_flow(flow: TcpFlow) -> Iterator[Expression]:
    """Matches the packets of this flow, but for its protocol and ports."""
    yield from match_value(link_of(flow.hook), flow.link.encode().ljust(_LINK_NAME, b"\0"))
    yield from match_family(flow.family)
    yield from _match_prefix(SOURCES[flow.family], flow.source)
    yield from _match_prefix(SOURCES[flow.family] + LENGTHS[flow.family], flow.destination)


def match_family(family: Family) -> Iterator[Expression]:
    """Matches the packets of one IP version."""
    yield from match_value(meta(_FAMILY), _FAMILIES[family])


def match_tcp() -> Iterator[Expression]:
    """Matches TCP."""
    yield from match_value(meta(PROTOCOL), bytes([TCP]))


def match_ports(source: int | None, destination: int | None) -> Iterator[Expression]:
    """Compares the ports; both are compared in one load."""
    ports = [port for port in (source, destination) if port is not None]
    if ports:
        load = payload(TRANSPORT, DESTINATION_PORT if source is None else 0, 2 * len(ports))
        yield from match_value(load, struct.pack(f">{len(ports)}H", *ports))


def match_value(load: Expression, value: bytes) -> Iterator[Expression]:
    """Compares what is loaded with a value."""
    yield load
    yield compare(EQUAL, value)


def _match_prefix(offset: int, prefix: str | None) -> Iterator[Expression]:
    """Compares an address with the prefix; whole bytes of a prefix are loaded alone, as nft does."""
    if prefix is None:
        return
    net = ip_network(prefix)
    whole, rest = divmod(net.prefixlen, 8)
    length = whole if not rest else net.max_prefixlen // 8
    yield payload(NETWORK, offset, length)
    if rest:
        yield bitwise(net.netmask.packed)
    yield compare(EQUAL, net.network_address.packed[:length])


def link_of(hook: Literal["egress", "ingress"]) -> Expression:
    """Loads the name of the interface by which a packet leaves or came."""
    return meta(_LINKS[hook])


def meta(key: Constant) -> Expression:
    """Loads what the kernel knows about a packet."""
    return "meta", {"KEY": key, "DREG": REGISTER}


def payload(base: Constant, offset: int, length: int, register: Constant = REGISTER) -> Expression:
    """Loads bytes of a header."""
    return "payload", {"DREG": register, "BASE": base, "OFFSET": offset, "LEN": length}


def bitwise(mask: bytes, xor: bytes = b"") -> Expression:
    """Masks what is loaded, and flips bits of it."""
    size = len(mask)
    return "bitwise", {"SREG": REGISTER, "DREG": REGISTER, "LEN": size, "MASK": mask, "XOR": xor or bytes(size)}


def compare(how: Constant, value: bytes) -> Expression:
    """Ends the rule for a packet whose loaded value does not compare like this."""
    return "cmp", {"SREG": REGISTER, "OP": how, "DATA": value}


def verdict(what: Literal["accept", "drop", "jump", "goto"], chain: str = "") -> Expression:
    """Ends the rule with what happens to the packet."""
    return "immediate", {"DREG": _VERDICT_REGISTER, "DATA": Verdict(_VERDICTS[what], chain)}


def encode(expression: Expression) -> Any:
    """The expression as pyroute2 takes it."""
    name, attributes = expression
    return genex(name, {key: _attribute_value(value) for key, value in attributes.items()})


def _attribute_value(value: Value) -> Any:
    match value:
        case Constant(number):
            return number
        case bytes():
            return {"attrs": [("NFTA_DATA_VALUE", value)]}
        case Verdict(code, chain):
            to = [("NFTA_VERDICT_CHAIN", chain)] if chain else []
            return {"attrs": [("NFTA_DATA_VERDICT", {"attrs": [("NFTA_VERDICT_CODE", code.number), *to]})]}
        case tuple():
            return encode(value)
        case _:
            return value


def decode(rule: Any) -> list[DecodedExpression]:
    """The expressions of a rule that the kernel shows."""
    return [_decode_expression(each) for each in rule.get_attr("NFTA_RULE_EXPRESSIONS") or ()]


def _decode_expression(expression: Any) -> DecodedExpression:
    name, data = expression.get_attr("NFTA_EXPR_NAME"), expression.get_attr("NFTA_EXPR_DATA")
    prefix = f"NFTA_{name.upper()}_"
    return name, {key.removeprefix(prefix): _shown(value) for key, value in (data["attrs"] if data else ())}


def _shown(value: Any) -> Any:
    """Data as bytes (pyroute2 shows them so, or as their hexadecimal digits between colons), verdicts, expressions."""
    if not hasattr(value, "get_attr"):
        return value
    if value.get_attr("NFTA_EXPR_NAME"):
        return _decode_expression(value)
    if found := value.get_attr("NFTA_DATA_VERDICT"):
        code = next((each for each in _VERDICTS.values() if each.name == found.get_attr("NFTA_VERDICT_CODE")), None)
        return Verdict(code, found.get_attr("NFTA_VERDICT_CHAIN") or "") if code else None
    data = value.get_attr("NFTA_DATA_VALUE")
    return bytes.fromhex(data.replace(":", "")) if isinstance(data, str) else data


def are_same(ours: Sequence[Expression], seen: Sequence[DecodedExpression]) -> bool:
    """Whether the kernel shows what we would encode; attributes that we leave out have kernel defaults."""
    return len(ours) == len(seen) and all(map(_is_same, ours, seen))


def _is_same(ours: Expression, seen: DecodedExpression) -> bool:
    return ours[0] == seen[0] and all(_is_same_value(value, seen[1].get(key)) for key, value in ours[1].items())


def _is_same_value(ours: Value, seen: Any) -> bool:
    match ours:
        case Constant(_, name):
            return bool(name == seen)
        case tuple():
            return isinstance(seen, tuple) and _is_same(ours, seen)
        case _:
            return bool(ours == seen)


_At = tuple[Any, ...]
"""What a comparison loads: a meta key, or a header and an offset in it."""


def parse_flow(seen: Sequence[DecodedExpression]) -> TcpFlow | None:
    """The flow that expressions match which begin with `match_flow`; None when they do not."""
    values, masks = _compared(seen)
    family = next((family for family, value in _FAMILIES.items() if values.get((_FAMILY.name,)) == value), None)
    hook = next((hook for hook, word in _LINKS.items() if (word.name,) in values), None)
    if family is None or hook is None:
        return None
    source, destination = (
        _prefix(values.get((NETWORK.name, at)), masks.get((NETWORK.name, at)), LENGTHS[family])
        for at in (SOURCES[family], SOURCES[family] + LENGTHS[family])
    )
    first = values.get((TRANSPORT.name, 0), b"")
    second = first[2:] or values.get((TRANSPORT.name, DESTINATION_PORT), b"")
    link = values[_LINKS[hook].name,].rstrip(b"\0").decode(errors="replace")
    return TcpFlow(link, hook, family, source, destination, number(first[:2]), number(second))


def _compared(seen: Sequence[DecodedExpression]) -> tuple[dict[_At, bytes], dict[_At, bytes]]:
    """The values that what is loaded is compared with, and the masks before."""
    values: dict[_At, bytes] = {}
    masks: dict[_At, bytes] = {}
    at: _At = ()
    for name, parsed in seen:
        match name:
            case "meta":
                at = (parsed.get("KEY"),)
            case "payload":
                at = (parsed.get("BASE"), parsed.get("OFFSET"))
            case "bitwise":
                masks[at] = octets(parsed.get("MASK"))
            case "cmp":
                values[at] = octets(parsed.get("DATA"))
    return values, masks


def octets(shown: Any) -> bytes:
    """Data as bytes; b"" for the verdicts that foreign rules may have."""
    return shown if isinstance(shown, bytes) else b""


def number(data: bytes) -> int | None:
    """A 16-bit number, as ports and sizes are; None for other lengths."""
    return int.from_bytes(data, "big") if len(data) == 2 else None


def _prefix(address: bytes | None, mask: bytes | None, length: int) -> str | None:
    if not address or len(address) > length:
        return None
    bits = sum(each.bit_count() for each in mask) if mask else 8 * len(address)
    return str(ip_network((ip_address(address.ljust(length, b"\0")), min(bits, 8 * length)), strict=False))


_QUOTA = nft_contains_expr.nft_expr.nft_quota
_QUOTA.nla_map = tuple((name, "be64" if name == "NFTA_QUOTA_BYTES" else kind) for name, kind in _QUOTA.nla_map)
"""pyroute2 0.9.7 has 16 bits for its number of 64."""

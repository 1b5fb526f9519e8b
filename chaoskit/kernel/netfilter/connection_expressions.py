"""Encodes the steps of `topology.connection_rules` as expressions of nftables, in the order of nft(8).

As nft does, a rule compares the IP version and the protocol before the first step that needs them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from chaoskit.kernel.netfilter import expressions
from chaoskit.kernel.netfilter.expressions import (
    EQUAL,
    FLAGS,
    LENGTHS,
    NETWORK,
    NOT_EQUAL,
    PROTOCOL,
    REGISTER,
    SOURCES,
    TRANSPORT,
    Constant,
    Expression,
    Family,
    Value,
    bitwise,
    compare,
    meta,
    payload,
    verdict,
)
from chaoskit.middlebox import TcpFlow
from chaoskit.topology.connection_rules import LONGEST_ACK, IsIn, IsYoung, Key, Step, Store, To, Word

_SYN, _RST, _PUSH, _ACK = 0x02, 0x04, 0x08, 0x10  # RFC 9293
_CHECKSUM = 16  # RFC 9293: its offset
_FAMILIES: dict[int, Family] = {4: "ip", 6: "ipv6"}
_REGISTERS: dict[Family, tuple[Constant, ...]] = {
    "ip": (REGISTER, Constant(9, "NFT_REG32_01"), Constant(10, "NFT_REG32_02"), Constant(11, "NFT_REG32_03")),
    "ipv6": (REGISTER, Constant(2, "NFT_REG_2"), Constant(13, "NFT_REG32_05"), Constant(17, "NFT_REG32_09")),
}
"""Of the parts of a key, one behind the other: address, port, address, port."""
_LENGTH = Constant(0, "NFT_META_LEN")
_GREATER, _TO_NETWORK = Constant(4, "NFT_CMP_GT"), Constant(1, "NFT_BYTEORDER_HTON")
_STORES = {
    "add": Constant(0, "NFT_DYNSET_OP_ADD"),
    "update": Constant(1, "NFT_DYNSET_OP_UPDATE"),
    "delete": Constant(2, "NFT_DYNSET_OP_DELETE"),
}
_INTERNET_CHECKSUM = Constant(1, "NFT_PAYLOAD_CSUM_INET")
_OVER = frozenset({"NFT_QUOTA_F_INV"})
_TCP_RESET = Constant(1, "NFT_REJECT_TCP_RST")


def of(steps: Sequence[Step]) -> Iterator[Expression]:
    """The expressions of a rule."""
    has_family = has_protocol = False
    for step in steps:
        if isinstance(step, IsIn | Store) and not has_family:
            yield from expressions.match_family(_FAMILIES[step.key.of.version])
            has_family = True
        if (isinstance(step, IsIn | Store) or step in ("syn", "rst", "push")) and not has_protocol:
            yield from expressions.match_tcp()
            has_protocol = True
        yield from _expressions(step)


def _expressions(step: Step) -> Iterator[Expression]:
    match step:
        case TcpFlow():
            yield from expressions.match_flow(step)
            yield from expressions.match_tcp()
            yield from expressions.match_ports(step.source_port, step.destination_port)
        case IsIn(key):
            yield from _load(key)
            yield "lookup", {"SET": key.of.name, "SREG": REGISTER}
        case IsYoung(name):
            yield meta(PROTOCOL)
            yield "lookup", {"SET": name, "SREG": REGISTER}
        case Store(how, key, quota):
            yield from _load(key)
            words: dict[str, Value] = {"SET_NAME": key.of.name, "OP": _STORES[how], "SREG_KEY": REGISTER}
            if quota:
                words["EXPR"] = ("quota", {"BYTES": quota, "FLAGS": _OVER})
            yield "dynset", words
        case To(how, chain):
            yield verdict(how, chain)
        case _:
            yield from _word(step)


def _word(word: Word) -> Iterator[Expression]:
    match word:
        case "syn":
            yield payload(TRANSPORT, FLAGS, 1)
            yield bitwise(bytes([_SYN | _ACK]))
            yield compare(EQUAL, bytes([_SYN]))
        case "rst" | "push":
            yield payload(TRANSPORT, FLAGS, 1)
            yield bitwise(bytes([_RST if word == "rst" else _PUSH]))
            yield compare(NOT_EQUAL, b"\0")
        case "long":
            yield meta(_LENGTH)
            yield "byteorder", {"SREG": REGISTER, "DREG": REGISTER, "OP": _TO_NETWORK, "LEN": 4, "SIZE": 4}
            yield compare(_GREATER, struct.pack(">I", LONGEST_ACK))
        case "count":
            yield "counter", {}
        case "reject":
            yield "reject", {"TYPE": _TCP_RESET}
        case "to-reset":
            yield from _make_reset()
        case "accept" | "drop":
            yield verdict(word)


def _make_reset() -> Iterator[Expression]:
    """Writes the flags RST and ACK, in two bytes, because a checksum is of 16-bit words."""
    yield payload(TRANSPORT, FLAGS - 1, 2)
    yield bitwise(b"\xff\0", bytes([0, _RST | _ACK]))
    where: dict[str, Value] = {"SREG": REGISTER, "BASE": TRANSPORT, "OFFSET": FLAGS - 1, "LEN": 2}
    yield "payload", {**where, "CSUM_TYPE": _INTERNET_CHECKSUM, "CSUM_OFFSET": _CHECKSUM}


def _load(key: Key) -> Iterator[Expression]:
    family = _FAMILIES[key.of.version]
    source, length = SOURCES[family], LENGTHS[family]
    ends = ((source, 0), (source + length, 2))
    registers = iter(_REGISTERS[family])
    for address, port in reversed(ends) if key.is_reversed else ends:
        yield payload(NETWORK, address, length, next(registers))
        yield payload(TRANSPORT, port, 2, next(registers))

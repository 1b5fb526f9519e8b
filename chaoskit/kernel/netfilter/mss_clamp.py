"""Clamps the MSS option of TCP handshakes with nftables, as middleboxes do.

The rules are those of `nft add rule inet T C ... tcp flags syn tcp option maxseg size set MSS`, byte for byte. The
kernel only ever lowers the MSS option (net/netfilter/nft_exthdr.c). A table with our name but other rules is
`Foreign`. Each function acts in the namespace behind `fd`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chaoskit.kernel.netfilter import expressions, nftables
from chaoskit.kernel.netfilter.expressions import (
    FLAGS,
    NOT_EQUAL,
    REGISTER,
    TRANSPORT,
    Constant,
    Expression,
    bitwise,
    compare,
    payload,
)
from chaoskit.kernel.netfilter.nftables import ACCEPT, INET, OwnedTables
from chaoskit.knobs import Clamp, Foreign
from chaoskit.middlebox import TcpFlow

_MANGLE = -150  # NF_IP_PRI_MANGLE, linux/netfilter_ipv4.h
_FORWARD = "forward"
_CHAINS: dict[Literal["egress", "ingress"], str] = {
    "egress": "postrouting",
    "ingress": "prerouting",
}
_SYN, _MSS = b"\x02", 2  # RFC 9293: the flag, the option's kind
_TCP_OPTION = Constant(1, "NFT_EXTHDR_OP_TCPOPT")


@dataclass(frozen=True)
class _ParsedRule:
    """A rule of chaoskit: the MSS, and the handshakes; None: all forwarded ones."""

    mss: int
    handshakes: TcpFlow | None


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
        encoded = [expressions.encode(step) for step in _expressions(wanted.mss, each)]
        nft.rule("add", table=table, chain=_chain(each), expressions=(encoded,))


def _combine(parsed: Sequence[_ParsedRule | None]) -> Clamp | None:
    """The clamp with exactly these rules, in this order; None if there is no such clamp."""
    known = [each for each in parsed if each is not None]
    handshakes = tuple(each.handshakes for each in known if each.handshakes is not None)
    if len(known) < len(parsed) or len({each.mss for each in known}) != 1 or len(handshakes) not in (0, len(parsed)):
        return None
    clamp = Clamp(known[0].mss, handshakes or None)
    return clamp if len(parsed) == len(clamp.of or (None,)) else None


def _chain(handshakes: TcpFlow | None) -> str:
    return _CHAINS[handshakes.hook] if handshakes is not None else _FORWARD


def _expressions(mss: int, handshakes: TcpFlow | None) -> Iterator[Expression]:
    """A rule's expressions, in the order of nft."""
    if handshakes is not None:
        yield from expressions.match_flow(handshakes)
    yield from expressions.match_tcp()
    if handshakes is not None:
        yield from expressions.match_ports(handshakes.source_port, handshakes.destination_port)
    yield payload(TRANSPORT, FLAGS, 1)
    yield bitwise(_SYN)
    yield compare(NOT_EQUAL, b"\0")
    yield "immediate", {"DREG": REGISTER, "DATA": struct.pack(">H", mss)}
    yield "exthdr", {"SREG": REGISTER, "TYPE": _MSS, "OFFSET": 2, "LEN": 2, "OP": _TCP_OPTION}


def _decode(rule: Any) -> _ParsedRule | None:
    """The parsed rule; None for a foreign rule."""
    seen = expressions.decode(rule)
    sizes = (expressions.number(expressions.octets(parsed.get("DATA"))) for name, parsed in seen if name == "immediate")
    guess = _ParsedRule(next(sizes, None) or 0, expressions.parse_flow(seen))
    is_ours = expressions.are_same(list(_expressions(guess.mss, guess.handshakes)), seen)
    return guess if is_ours and rule.get_attr("NFTA_RULE_CHAIN") == _chain(guess.handshakes) else None


def _table(name: str) -> str:
    return f"chaoskit-{name}"

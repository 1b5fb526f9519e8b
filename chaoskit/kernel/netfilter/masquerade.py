"""Masquerades one address behind the machine's own, and forwards nothing else for it.

A knob's name is the address, the link that leads to it, and the links on which chaoskit enabled forwarding for it:
`100.64.0.2 chaos-out eth0`. An owned table holds three chains:

| chain     | at                      | what                                                                           |
|-----------|-------------------------|--------------------------------------------------------------------------------|
| `out`     | postrouting             | masquerades the address                                                        |
| `in`      | prerouting, before NAT  | drops packets to the address from other links (replies have another one)       |
| `through` | forward                 | drops packets from the link with another source, and packets that arrive on    |
|           |                         | the links with enabled forwarding and leave by another link                    |

The table disappears with its creator. Each function acts in the namespace behind `fd`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyroute2.netlink.nfnetlink.nftsocket import Cmp, Meta
from pyroute2.nftables.expressions import genex, ipv4addr, masq, verdict

from chaoskit.kernel.netfilter import nftables
from chaoskit.kernel.netfilter.nftables import ACCEPT, IP, OwnedTables
from chaoskit.knobs import Masquerade

_SOURCE_NAT, _RAW, _FILTER = 100, -300, 0  # NF_IP_PRI_, linux/netfilter_ipv4.h
_DROP = 0  # NF_DROP, linux/netfilter.h
_REGISTER = 1  # NFT_REG_1
_LINK_NAME = 16  # IFNAMSIZ
_CHAINS = (
    ("out", {"hook": "postrouting", "type": "nat", "priority": _SOURCE_NAT}),
    ("in", {"hook": "prerouting", "type": "filter", "priority": _RAW}),
    ("through", {"hook": "forward", "type": "filter", "priority": _FILTER}),
)
_Expressions = tuple[list[Any], ...]


def read(fd: int, name: str) -> Masquerade | None:
    """Whether a table masquerades the address."""
    return Masquerade() if nftables.exists(fd, IP, _table(name)) else None


def write(fd: int, owned: OwnedTables, name: str, wanted: Masquerade | None) -> None:
    """Masquerade the address, or stop."""
    table = _table(name)
    nftables.delete(owned, table)
    if wanted is None:
        return
    nft = nftables.create(fd, owned, IP, table)
    for chain, place in _CHAINS:
        nft.chain("add", table=table, name=chain, policy=ACCEPT, **place)
    for chain, expressions in _rules(*name.split(" ")):
        nft.rule("add", table=table, chain=chain, expressions=expressions)


def _rules(address: str, link: str, *forwarding: str) -> Iterator[tuple[str, _Expressions]]:
    drop = verdict(_DROP)
    from_link, from_other_link = _link(Meta.NFT_META_IIFNAME, link), _link(Meta.NFT_META_IIFNAME, link, False)
    yield "in", (from_other_link, ipv4addr(dst=address), drop)
    yield "through", (from_link, ipv4addr(src=address, op=Cmp.NFT_CMP_NEQ), drop)
    for other in forwarding:
        yield "through", (_link(Meta.NFT_META_IIFNAME, other), _link(Meta.NFT_META_OIFNAME, link, False), drop)
    yield "out", (ipv4addr(src=address), masq())


def _link(end: Any, name: str, is_it: bool = True) -> list[Any]:
    value = {"attrs": [("NFTA_DATA_VALUE", name.encode().ljust(_LINK_NAME, b"\0"))]}
    how = Cmp.NFT_CMP_EQ if is_it else Cmp.NFT_CMP_NEQ
    return [
        genex("meta", {"KEY": end, "DREG": _REGISTER}),
        genex("cmp", {"SREG": _REGISTER, "OP": how, "DATA": value}),
    ]


def _table(name: str) -> str:
    return f"chaoskit-{name.split(' ')[0]}"

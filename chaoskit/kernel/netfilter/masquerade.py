"""An address hidden behind the machine's own, and nobody else let through for it.

A knob's name is the address, the link that it is behind, and the links that let packets pass for its sake alone:
`100.64.0.2 chaos-out eth0`. A table of ours holds three chains:

| chain     | at                      | what                                                                           |
|-----------|-------------------------|--------------------------------------------------------------------------------|
| `out`     | postrouting             | the address leaves with the machine's own                                      |
| `in`      | prerouting, before NAT  | lost: what comes by another link with this destination; answers have another   |
| `through` | forward                 | lost: what comes from behind the link with another source; and what comes by   |
|           |                         | the links that let packets pass for our sake, and does not go to ours          |

The table goes with whoever made it. Each function acts in the namespace behind `fd`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyroute2.netlink.nfnetlink.nftsocket import Cmp, Meta
from pyroute2.nftables.expressions import genex, ipv4addr, masq, verdict

from chaoskit.kernel.netfilter import nftables
from chaoskit.kernel.netfilter.nftables import ACCEPT, IP, Owned
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
    """Whether the address is hidden by a table of ours."""
    return Masquerade() if nftables.has(fd, IP, _table(name)) else None


def write(fd: int, owned: Owned, name: str, wanted: Masquerade | None) -> None:
    """Hide the address, or show it again."""
    table = _table(name)
    nftables.drop(owned, table)
    if wanted is None:
        return
    nft = nftables.make(fd, owned, IP, table)
    for chain, place in _CHAINS:
        nft.chain("add", table=table, name=chain, policy=ACCEPT, **place)
    for chain, expressions in _rules(*name.split(" ")):
        nft.rule("add", table=table, chain=chain, expressions=expressions)


def _rules(address: str, link: str, *opened: str) -> Iterator[tuple[str, _Expressions]]:
    lose = verdict(_DROP)
    comes_by_ours, comes_by_another = _link(Meta.NFT_META_IIFNAME, link), _link(Meta.NFT_META_IIFNAME, link, False)
    yield "in", (comes_by_another, ipv4addr(dst=address), lose)
    yield "through", (comes_by_ours, ipv4addr(src=address, op=Cmp.NFT_CMP_NEQ), lose)
    for other in opened:
        yield "through", (_link(Meta.NFT_META_IIFNAME, other), _link(Meta.NFT_META_OIFNAME, link, False), lose)
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

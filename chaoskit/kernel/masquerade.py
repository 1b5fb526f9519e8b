"""An address hidden behind the machine's own. Each function acts in the namespace behind `fd`."""

from __future__ import annotations

from pyroute2.nftables.expressions import ipv4addr, masq

from chaoskit.kernel import nftables
from chaoskit.kernel.nftables import ACCEPT, IP, Owned
from chaoskit.knobs import Masquerade

_SOURCE_NAT = 100  # NF_IP_PRI_NAT_SRC, linux/netfilter_ipv4.h
_CHAIN = "out"


def read(fd: int, address: str) -> Masquerade | None:
    """Whether the address is hidden by a table of ours."""
    return Masquerade() if nftables.has(fd, IP, _table(address)) else None


def write(fd: int, owned: Owned, address: str, wanted: Masquerade | None) -> None:
    """Hide the address, or show it again."""
    table = _table(address)
    nftables.drop(owned, table)
    if wanted is None:
        return
    nft = nftables.make(fd, owned, IP, table)
    chain = {"hook": "postrouting", "type": "nat", "priority": _SOURCE_NAT, "policy": ACCEPT}
    nft.chain("add", table=table, name=_CHAIN, **chain)
    nft.rule("add", table=table, chain=_CHAIN, expressions=(ipv4addr(src=address), masq()))


def _table(address: str) -> str:
    return f"chaoskit-{address}"

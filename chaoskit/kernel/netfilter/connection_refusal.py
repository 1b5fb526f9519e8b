"""Answers new TCP connections from other hosts with a RST, with nftables, as where nothing listens.

The rule is that of `nft add rule inet T input iifname != lo tcp flags & (fin | syn | rst | ack) == syn reject with tcp
reset`. Connections that exist go on, and so do those of a host with itself. The table disappears with its creator.
Each function acts in the namespace behind `fd`.
"""

from __future__ import annotations

import errno
from typing import Any

from pyroute2.netlink.nfnetlink.nftsocket import Cmp, Meta
from pyroute2.nftables.expressions import genex

from chaoskit.kernel.netfilter import nftables
from chaoskit.kernel.netfilter.nftables import ACCEPT, INET, OwnedTables

_TABLE, _CHAIN = "chaoskit-refusal", "input"
_FILTER = 0  # NF_IP_PRI_FILTER, linux/netfilter_ipv4.h
_REGISTER = 1  # NFT_REG_1
_LINK_NAME = 16  # IFNAMSIZ
_TRANSPORT_HEADER, _FLAGS = 2, 13  # NFT_PAYLOAD_TRANSPORT_HEADER; RFC 9293: the offset of the flags
_FIN_SYN_RST_ACK, _SYN = b"\x17", b"\x02"
_TCP = b"\x06"
_TCP_RST = 1  # NFT_REJECT_TCP_RST, linux/netfilter/nf_tables.h


def is_in_force(fd: int) -> bool:
    """Whether connections are refused; never in a kernel without nftables."""
    try:
        return nftables.exists(fd, INET, _TABLE)
    except OSError as error:
        if error.errno != errno.EPROTONOSUPPORT:
            raise
        return False


def write(fd: int, owned: OwnedTables, wanted: bool) -> None:
    """Refuse connections, or stop that."""
    nftables.delete(owned, _TABLE)
    if not wanted:
        return
    nft = nftables.create(fd, owned, INET, _TABLE)
    nft.chain("add", table=_TABLE, name=_CHAIN, hook="input", type="filter", priority=_FILTER, policy=ACCEPT)
    nft.rule("add", table=_TABLE, chain=_CHAIN, expressions=(_expressions(),))


def _expressions() -> list[Any]:
    masked = {"SREG": _REGISTER, "DREG": _REGISTER, "LEN": 1, "MASK": _value(_FIN_SYN_RST_ACK), "XOR": _value(b"\0")}
    return [
        genex("meta", {"KEY": Meta.NFT_META_IIFNAME, "DREG": _REGISTER}),
        _compare(b"lo".ljust(_LINK_NAME, b"\0"), Cmp.NFT_CMP_NEQ),
        genex("meta", {"KEY": Meta.NFT_META_L4PROTO, "DREG": _REGISTER}),
        _compare(_TCP),
        genex("payload", {"DREG": _REGISTER, "BASE": _TRANSPORT_HEADER, "OFFSET": _FLAGS, "LEN": 1}),
        genex("bitwise", masked),
        _compare(_SYN),
        genex("reject", {"TYPE": _TCP_RST, "ICMP_CODE": 0}),
    ]


def _compare(value: bytes, how: Any = Cmp.NFT_CMP_EQ) -> Any:
    return genex("cmp", {"SREG": _REGISTER, "OP": how, "DATA": _value(value)})


def _value(value: bytes) -> dict[str, Any]:
    return {"attrs": [("NFTA_DATA_VALUE", value)]}

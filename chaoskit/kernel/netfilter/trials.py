"""Tries parts of nftables: connection tracking, and sets whose elements expire."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable

from pyroute2.netlink import NLM_F_CREATE, NLM_F_REQUEST
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_NEWSET, nft_set_msg
from pyroute2.nftables.expressions import genex
from pyroute2.nftables.main import NFTables

from chaoskit.kernel.netfilter import nftables
from chaoskit.kernel.netfilter.nftables import ACCEPT, INET, OwnedTables

_TABLE, _REGISTER = "chaoskit-try", 1
_CT_STATE, _CT_BYTES = 0, 15  # NFT_CT_, linux/netfilter/nf_tables.h
_ESTABLISHED = struct.pack("=I", 1 << 1)  # NF_CT_STATE_BIT(IP_CT_ESTABLISHED)
_IPV4, _MINUTE = 4, 60_000  # bytes of a key; ms


def conntrack_error() -> str:
    """Why the packets of a connection cannot be counted by a rule; "" if they can."""
    return _error(_count_a_connection, "connection tracking", "nf_conntrack nf_tables nf_tables_inet nft_ct")


def expiring_set_error() -> str:
    """Why a set cannot forget its elements after a time; "" if it can."""
    return _error(_forget_after_a_minute, "nftables of the family inet", "nf_tables nf_tables_inet")


def _count_a_connection(nft: NFTables) -> None:
    nft.chain("add", table=_TABLE, name="try", hook="forward", type="filter", priority=0, policy=ACCEPT)
    expressions = [
        genex("ct", {"DREG": _REGISTER, "KEY": _CT_STATE}),
        genex("cmp", {"SREG": _REGISTER, "OP": 0, "DATA": {"attrs": [("NFTA_DATA_VALUE", _ESTABLISHED)]}}),
        genex("ct", {"DREG": _REGISTER, "KEY": _CT_BYTES}),
    ]
    nft.rule("add", table=_TABLE, chain="try", expressions=(expressions,))


def _forget_after_a_minute(nft: NFTables) -> None:
    request = nft_set_msg()
    request["attrs"] = [
        ("NFTA_SET_TABLE", _TABLE),
        ("NFTA_SET_NAME", "try"),
        ("NFTA_SET_KEY_LEN", _IPV4),
        ("NFTA_SET_ID", 1),
        ("NFTA_SET_FLAGS", {"NFT_SET_TIMEOUT"}),
        ("NFTA_SET_TIMEOUT", _MINUTE),
    ]
    nft.request_put(request, NFT_MSG_NEWSET, NLM_F_REQUEST | NLM_F_CREATE)
    if _MINUTE not in {found.get_attr("NFTA_SET_TIMEOUT") for found in nft.get_sets()}:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def _error(fill: Callable[[NFTables], None], part: str, modules: str) -> str:
    """The kernel's error for what `fill` adds to a table of the current namespace, which is removed again."""
    owned: OwnedTables = {}
    namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fill(nftables.create(namespace, owned, INET, _TABLE))
    except (NetlinkError, OSError) as error:
        reason = error.args[-1] if isinstance(error, NetlinkError) else error.strerror
        return f"{part} is not in this kernel ({reason}): sudo modprobe -a {modules}, or --substrate uml"
    finally:
        nftables.delete(owned, _TABLE)
        os.close(namespace)
    return ""

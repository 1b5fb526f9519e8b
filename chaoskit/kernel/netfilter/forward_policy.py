"""Finds the firewall chains that block forwarding through a link. Changes nothing.

A chain of the forward hook is blocking when its policy is drop, unless rules of its table accept, by the link's name,
both packets that arrive on it and packets that leave by it. Other conditions of these rules are ignored. Limits: a rule
that accepts the same packets without naming the link is not recognised, so its chain is still reported; a chain with
policy accept whose last rule drops everything is missed. `xtables` applies the same rule to the tables of legacy
iptables, which nftables does not show.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.nftables.main import NFTables

from chaoskit.kernel.netfilter import xtables

_EVERY, _FAMILIES = 0, {1: "inet", 2: "ip"}  # linux/netfilter.h: NFPROTO_UNSPEC; the families that see IPv4
_FORWARD, _DROP = 2, 0  # NF_INET_FORWARD, NF_DROP, linux/netfilter.h
_BOTH = {"NFT_META_IIFNAME", "NFT_META_OIFNAME"}
_NAME_SIZE = 16  # IFNAMSIZ


@dataclass(frozen=True)
class BlockingChain:
    """A chain, as nft(8) names it, or one of legacy iptables."""

    family: str
    table: str
    chain: str
    is_legacy: bool = False

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}"


def blocking_chains(link: str) -> tuple[BlockingChain, ...]:
    """The chains that block forwarding of this link's IPv4 packets, in the current namespace."""
    legacy = (BlockingChain("ip", "filter", "FORWARD", is_legacy=True),) if xtables.blocks_forwarding(link) else ()
    return (*_nftables_chains(link), *legacy)


def _nftables_chains(link: str) -> tuple[BlockingChain, ...]:
    """The blocking chains of nftables; none where the kernel has no nftables."""
    try:
        nft = NFTables(nfgen_family=_EVERY)
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT:
            return ()
        raise
    try:
        blocking = [chain_ for chain in nft.get_chains() if (chain_ := _blocking_chain(chain))]
        accepted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for rule in nft.get_rules() if blocking else ():
            accepted[_FAMILIES.get(rule["nfgen_family"], ""), rule.get_attr("NFTA_RULE_TABLE")] |= _accepts(rule, link)
    except NetlinkError:
        return ()
    finally:
        nft.close()
    return tuple(chain_ for chain_ in blocking if accepted[chain_.family, chain_.table] != _BOTH)


def _blocking_chain(chain: Any) -> BlockingChain | None:
    """The chain of a netlink message, if it belongs to the forward hook and has policy drop."""
    family, hook = _FAMILIES.get(chain["nfgen_family"]), chain.get_attr("NFTA_CHAIN_HOOK")
    if family is None or hook is None or chain.get_attr("NFTA_CHAIN_POLICY") != _DROP:
        return None
    if hook.get_attr("NFTA_HOOK_HOOKNUM") != _FORWARD:
        return None
    return BlockingChain(family, chain.get_attr("NFTA_CHAIN_TABLE"), chain.get_attr("NFTA_CHAIN_NAME"))


def _accepts(rule: Any, link: str) -> set[str]:
    """The interface keys (iifname, oifname) that the rule compares with this link before it accepts."""
    name = link.encode().ljust(_NAME_SIZE, b"\0")
    matched, read, verdict = set(), None, None
    for expression in rule.get_attr("NFTA_RULE_EXPRESSIONS") or ():
        data = expression.get_attr("NFTA_EXPR_DATA")
        match expression.get_attr("NFTA_EXPR_NAME"):
            case "meta":
                read = data.get_attr("NFTA_META_KEY")
            case "cmp" if read in _BOTH and data.get_attr("NFTA_CMP_OP") == "NFT_CMP_EQ":
                compared = data.get_attr("NFTA_CMP_DATA").get_attr("NFTA_DATA_VALUE")
                if name.startswith(compared):  # "chaos*" compares the prefix alone
                    matched.add(read)
            case "immediate":
                verdict = data.get_attr("NFTA_IMMEDIATE_DATA").get_attr("NFTA_DATA_VERDICT")
    return matched if verdict is not None and verdict.get_attr("NFTA_VERDICT_CODE") == "NF_ACCEPT" else set()

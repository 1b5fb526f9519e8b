"""The chains of nftables that let nothing pass through this machine by a link. Changes nothing.

A chain stands in the way when it looks at what passes (hook forward) and drops it by policy, unless rules of its
table accept, by the link's name, both what comes in by it and what goes out by it. What these rules ask besides is
the affair of whoever wrote them. Honest limits: a rule that accepts the same without the link's name is not
understood, so such a chain is named all the same; one that accepts by policy and drops by its last rule is not
noticed. Legacy iptables, of whose tables nftables does not tell, `xtables` looks at by the same rule.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.nftables.main import NFTables

from chaoskit.kernel.netfilter import xtables

_EVERY, _FAMILIES = 0, {1: "inet", 2: "ip"}  # linux/netfilter.h: NFPROTO_UNSPEC; those that see IPv4
_FORWARD, _DROP = 2, 0  # NF_INET_FORWARD, NF_DROP, linux/netfilter.h
_ENDS = {"NFT_META_IIFNAME", "NFT_META_OIFNAME"}
_NAME_SIZE = 16  # IFNAMSIZ


@dataclass(frozen=True)
class Gate:
    """A chain, as nft(8) names it, or one of legacy iptables."""

    family: str
    table: str
    chain: str
    is_legacy: bool = False

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}"


def closed(link: str) -> tuple[Gate, ...]:
    """Those that stand in the way of this link's IPv4 packets, in the namespace that we are in."""
    legacy = (Gate("ip", "filter", "FORWARD", is_legacy=True),) if xtables.is_shut(link) else ()
    return (*_of_nftables(link), *legacy)


def _of_nftables(link: str) -> tuple[Gate, ...]:
    """None where the kernel has no nftables."""
    try:
        nft = NFTables(nfgen_family=_EVERY)
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT:
            return ()
        raise
    try:
        shut = [gate for chain in nft.get_chains() if (gate := _gate(chain))]
        accepted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for rule in nft.get_rules() if shut else ():
            accepted[_FAMILIES.get(rule["nfgen_family"], ""), rule.get_attr("NFTA_RULE_TABLE")] |= _accepts(rule, link)
    except NetlinkError:
        return ()
    finally:
        nft.close()
    return tuple(gate for gate in shut if accepted[gate.family, gate.table] != _ENDS)


def _gate(chain: Any) -> Gate | None:
    """The chain of a message, when it drops by policy what passes."""
    family, hook = _FAMILIES.get(chain["nfgen_family"]), chain.get_attr("NFTA_CHAIN_HOOK")
    if family is None or hook is None or chain.get_attr("NFTA_CHAIN_POLICY") != _DROP:
        return None
    if hook.get_attr("NFTA_HOOK_HOOKNUM") != _FORWARD:
        return None
    return Gate(family, chain.get_attr("NFTA_CHAIN_TABLE"), chain.get_attr("NFTA_CHAIN_NAME"))


def _accepts(rule: Any, link: str) -> set[str]:
    """Which of the ends of a packet's way may be this link, by its name, for the rule to accept it."""
    name = link.encode().ljust(_NAME_SIZE, b"\0")
    ends, read, verdict = set(), None, None
    for expression in rule.get_attr("NFTA_RULE_EXPRESSIONS") or ():
        data = expression.get_attr("NFTA_EXPR_DATA")
        match expression.get_attr("NFTA_EXPR_NAME"):
            case "meta":
                read = data.get_attr("NFTA_META_KEY")
            case "cmp" if read in _ENDS and data.get_attr("NFTA_CMP_OP") == "NFT_CMP_EQ":
                compared = data.get_attr("NFTA_CMP_DATA").get_attr("NFTA_DATA_VALUE")
                if name.startswith(compared):  # "chaos*" compares so much and no more
                    ends.add(read)
            case "immediate":
                verdict = data.get_attr("NFTA_IMMEDIATE_DATA").get_attr("NFTA_DATA_VERDICT")
    return ends if verdict is not None and verdict.get_attr("NFTA_VERDICT_CODE") == "NF_ACCEPT" else set()

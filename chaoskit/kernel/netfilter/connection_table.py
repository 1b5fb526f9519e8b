"""Ends TCP connections with nftables, as middleboxes do: cuts and idle timeouts.

The tables are those of `topology.connection_rules`, as nft(8) would make them, byte for byte. Sets and rules are there
before the hooks that lead to them. A table with our name and other content is `Foreign`. Each function acts in the
namespace behind `fd`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaoskit.counters import QueueCounters
from chaoskit.kernel.netfilter import connection_expressions, expressions, nftables
from chaoskit.kernel.netfilter.expressions import DecodedExpression, Verdict
from chaoskit.kernel.netfilter.nftables import DYNAMIC, INET, TIMES_OUT, OwnedTables, SetForm
from chaoskit.knobs import Foreign, Knob
from chaoskit.middlebox import Cut, Ending, IdleTimeout, TcpFlow
from chaoskit.topology.connection_rules import ConnectionSet, IsIn, Rule, Table, Young, table, table_name

IDLE_TIMEOUT = "idle-timeout"
_ADDRESS, _PORT, _PROTOCOL = {4: 7, 6: 8}, 13, 12  # types of nft(8): ipv4_addr and ipv6_addr, inet_service, inet_proto
_TYPE_BITS = 6  # of each part of a key, in the type of a concatenation
_KEY_LENGTHS = {4: 4 + 4 + 4 + 4, 6: 16 + 4 + 16 + 4}  # bytes; each part fills whole 32-bit registers
_FILTER = 0  # NF_IP_PRI_FILTER, linux/netfilter_ipv4.h
_FORWARD = "forward"


@dataclass(frozen=True)
class _Seen:
    """A rule that the kernel shows."""

    chain: str
    steps: list[DecodedExpression]


def read(fd: int, knob: Knob) -> Cut | IdleTimeout | Foreign | None:
    """The setting in effect; None without one."""
    name = table_name(knob)
    if not nftables.exists(fd, INET, name):
        return None
    seen, forms = _rules(fd, name), nftables.sets(fd, INET, name)
    guess = _guess(knob.kind, seen, forms)
    if guess is not None and forms == set(map(_form, table(guess).sets)) and _are_ours(table(guess), seen):
        return guess
    return Foreign(f"table {name} of nftables")


def write(fd: int, owned: OwnedTables, knob: Knob, wanted: Cut | IdleTimeout | None) -> None:
    """Make the table, or remove it."""
    name = table_name(knob)
    nftables.delete(owned, name)
    if wanted is None:
        return
    made = table(wanted)
    nft = nftables.create(fd, owned, INET, name)
    for each in made.sets:
        nftables.add_set(nft, name, _form(each))
        if isinstance(each, Young):
            nftables.add_element(nft, name, each.name, bytes([expressions.TCP]), each.ms)
    for chain in made.chains:
        nft.chain("add", table=name, name=chain)
    for hook in made.hooks:
        nft.chain("add", table=name, name=hook, hook=hook, type="filter", priority=_FILTER, policy=nftables.ACCEPT)
    for rule in made.rules:
        encoded = [expressions.encode(each) for each in connection_expressions.of(rule.steps)]
        nft.rule("add", table=name, chain=rule.chain, expressions=(encoded,))


def counters(fd: int, knob: Knob) -> QueueCounters | None:
    """Packets of the connections, `drops` that were dropped or became an RST, and in `overlimits` the connections that
    were ended; None where chaoskit has no table."""
    setting = read(fd, knob)
    if not isinstance(setting, Cut | IdleTimeout):
        return None
    made = table(setting)
    packets = ended = later = octets = 0
    for rule, seen in zip(made.rules, _in_order(made, _rules(fd, table_name(knob))), strict=True):
        counted = next((parsed for name, parsed in seen.steps if name == "counter"), {})
        count = int(counted.get("PACKETS", 0))
        match rule.steps[0]:
            case TcpFlow():
                packets, octets = packets + count, octets + int(counted.get("BYTES", 0))
            case IsIn():
                later += count
            case _:
                ended += count
    return QueueCounters(packets, octets, ended + later, ended, 0, 0, 0)


def _rules(fd: int, name: str) -> list[_Seen]:
    return [
        _Seen(each.get_attr("NFTA_RULE_CHAIN"), expressions.decode(each)) for each in nftables.rules(fd, INET, name)
    ]


def _form(of: ConnectionSet | Young) -> SetForm:
    if isinstance(of, Young):
        return SetForm(of.name, _PROTOCOL, 1, 0, frozenset({TIMES_OUT}))
    parts = (_ADDRESS[of.version], _PORT, _ADDRESS[of.version], _PORT)
    type_ = sum(part << _TYPE_BITS * place for place, part in enumerate(reversed(parts)))
    return SetForm(
        of.name, type_, _KEY_LENGTHS[of.version], of.ms, frozenset({DYNAMIC, *((TIMES_OUT,) if of.ms else ())})
    )


def _are_ours(made: Table, seen: Sequence[_Seen]) -> bool:
    found = _in_order(made, seen)
    return len(found) == len(seen) == len(made.rules) and all(map(_is_same, made.rules, found))


def _in_order(made: Table, seen: Iterable[_Seen]) -> list[_Seen]:
    """Rules in the order of the table: the kernel shows them chain by chain."""
    chains = dict.fromkeys(rule.chain for rule in made.rules)
    return sorted((each for each in seen if each.chain in chains), key=lambda each: list(chains).index(each.chain))


def _is_same(rule: Rule, seen: _Seen) -> bool:
    return rule.chain == seen.chain and expressions.are_same(list(connection_expressions.of(rule.steps)), seen.steps)


def _guess(kind: str, seen: Sequence[_Seen], forms: Iterable[SetForm]) -> Cut | IdleTimeout | None:
    """The setting with these rules and sets, on the assumption that they are ours: `forward` has all its flows."""
    flows = [(each.steps, expressions.parse_flow(each.steps)) for each in seen if each.chain == _FORWARD]
    of = tuple(flow for steps, flow in flows if flow and _leads(steps, "NFT_JUMP"))
    counted = tuple(flow for steps, flow in flows if flow and _leads(steps, "NFT_GOTO"))
    if not of:
        return None
    ms = max((form.ms for form in forms), default=0)
    by: Ending = "reset" if any(name == "reject" for each in seen for name, _ in each.steps) else "silence"
    if kind == IDLE_TIMEOUT:
        return IdleTimeout(by, of, ms)
    quotas = (parsed["EXPR"][1].get("BYTES") for each in seen for name, parsed in each.steps if "EXPR" in parsed)
    return Cut(by, of, counted, next(quotas, 0), ms)


def _leads(steps: Sequence[DecodedExpression], how: str) -> bool:
    """Whether a rule ends in this verdict."""
    last = steps[-1][1].get("DATA") if steps else None
    return isinstance(last, Verdict) and last.code.name == how

"""Reads and writes the rules that select a table of routes by addresses, in the namespace of `ip`.

A rule's name is `from PREFIX` or `from PREFIX to PREFIX`. Rules of chaoskit have one priority, before the main table's.
"""

from __future__ import annotations

from ipaddress import ip_network
from socket import AF_INET, AF_INET6
from typing import Any

from pyroute2 import IPRoute

from chaoskit.knobs import Rule

_PRIORITY = 32765  # the one that ip-rule(8) gives the first rule: just before the main table
_TO_TABLE = 1  # FR_ACT_TO_TBL of linux/fib_rules.h


def read_rule(ip: IPRoute, name: str) -> Rule | None:
    """The table that these packets are looked up in."""
    source, destination = _prefixes(name)
    for message in ip.get_rules(family=_family(source)):
        found = _prefix(message, "src"), _prefix(message, "dst")
        if message["action"] == _TO_TABLE and found == (source, destination):
            return Rule(int(message.get_attr("FRA_TABLE")))
    return None


def write_rule(ip: IPRoute, name: str, wanted: Rule | None) -> None:
    """Set the rule, or remove it."""
    source, destination = _prefixes(name)
    present = read_rule(ip, name)
    selector = _selector("src", source) | (_selector("dst", destination) if destination else {})
    if present is not None:
        ip.rule("del", family=_family(source), priority=_PRIORITY, table=present.table, **selector)
    if wanted is not None:
        ip.rule("add", family=_family(source), priority=_PRIORITY, table=wanted.table, **selector)


def _prefixes(name: str) -> tuple[str, str | None]:
    source, _, destination = name.removeprefix("from ").partition(" to ")
    return source, destination or None


def _selector(end: str, prefix: str) -> dict[str, Any]:
    network = ip_network(prefix)
    return {end: str(network.network_address), f"{end}_len": network.prefixlen}


def _prefix(message: Any, end: str) -> str | None:
    address = message.get_attr(f"FRA_{end.upper()}")
    return None if address is None else f"{address}/{message[f'{end}_len']}"


def _family(prefix: str) -> int:
    return int(AF_INET if ip_network(prefix).version == 4 else AF_INET6)

"""Writes an MSS clamp, a cut or an idle timeout as arguments of nft(8) that make the same rules."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.knobs import Clamp
from chaoskit.middlebox import Cut, IdleTimeout, TcpFlow
from chaoskit.topology.connection_rules import (
    LONGEST_ACK,
    YOUNG,
    ConnectionSet,
    IsIn,
    IsYoung,
    Key,
    Step,
    Store,
    To,
    Word,
    Young,
    table,
)

_HOOKS = {"egress": "postrouting", "ingress": "prerouting"}
_LINKS = {"egress": "oifname", "ingress": "iifname"}
_VERSIONS = {"ip": ("ipv4", "ip"), "ipv6": ("ipv6", "ip6")}
_HEADERS = {4: "ip", 6: "ip6"}
_WORDS: dict[Word, str] = {
    "syn": "tcp flags & (syn|ack) == syn",
    "rst": "tcp flags rst",
    "push": "tcp flags psh",
    "long": f"meta length > {LONGEST_ACK}",
    "count": "counter",
    "accept": "accept",
    "drop": "drop",
    "reject": "reject with tcp reset",
    "to-reset": "tcp flags set rst|ack",
}


def clamp_arguments(clamp: Clamp, table: tuple[str, str]) -> Iterator[tuple[str, ...]]:
    """The arguments of `nft add`, a line each; `table` is its family and its name."""
    yield ("table", *table)
    flows = clamp.of or (None,)
    for hook in dict.fromkeys(map(_hook, flows)):
        yield ("chain", *table, hook, f"{{ type filter hook {hook} priority mangle ; }}")
    for each in flows:
        words = ("tcp", "flags", "syn", "tcp", "option", "maxseg", "size", "set", str(clamp.mss))
        match = (*_match_arguments(each), *_port_arguments(each)) if each is not None else ()
        yield ("rule", *table, _hook(each), *match, *words)


def connection_arguments(setting: Cut | IdleTimeout, name: tuple[str, str]) -> Iterator[tuple[str, ...]]:
    """The same for what ends connections."""
    made = table(setting)
    yield ("table", *name)
    for each in made.sets:
        yield ("set", *name, each.name, _set_definition(each))
        if isinstance(each, Young):
            yield ("element", *name, YOUNG, f"{{ tcp timeout {each.ms}ms }}")
    for chain in made.chains:
        yield ("chain", *name, chain)
    for hook in made.hooks:
        yield ("chain", *name, hook, f"{{ type filter hook {hook} priority filter ; }}")
    for rule in made.rules:
        yield ("rule", *name, rule.chain, *(word for step in rule.steps for word in _step_arguments(step)))


def _set_definition(of: ConnectionSet | Young) -> str:
    if isinstance(of, Young):
        return "{ type inet_proto ; flags timeout ; }"
    address = "ipv4_addr" if of.version == 4 else "ipv6_addr"
    kind = f"type {address} . inet_service . {address} . inet_service ;"
    return f"{{ {kind} flags dynamic,timeout ; timeout {of.ms}ms ; }}" if of.ms else f"{{ {kind} flags dynamic ; }}"


def _step_arguments(step: Step) -> Iterator[str]:
    match step:
        case TcpFlow():
            yield from (*_match_arguments(step), "meta", "l4proto", "tcp", *_port_arguments(step))
        case IsIn(key):
            yield from (*_key(key), f"@{key.of.name}")
        case IsYoung(name):
            yield from ("meta", "l4proto", f"@{name}")
        case Store(how, key, quota):
            over = ("quota", "over", str(quota), "bytes") if quota else ()
            yield from (how, f"@{key.of.name}", "{", *_key(key), *over, "}")
        case To(how, chain):
            yield from (how, chain)
        case _:
            yield from _WORDS[step].split(" ")


def _key(key: Key) -> tuple[str, ...]:
    header = _HEADERS[key.of.version]
    source, destination = (header, "saddr", ".", "tcp", "sport"), (header, "daddr", ".", "tcp", "dport")
    first, second = (destination, source) if key.is_reversed else (source, destination)
    return (*first, ".", *second)


def _hook(flow: TcpFlow | None) -> str:
    return _HOOKS[flow.hook] if flow is not None else "forward"


def _match_arguments(flow: TcpFlow) -> Iterator[str]:
    version, header = _VERSIONS[flow.family]
    yield from (_LINKS[flow.hook], flow.link, "meta", "nfproto", version)
    for key, prefix in (("saddr", flow.source), ("daddr", flow.destination)):
        yield from (header, key, prefix) if prefix is not None else ()


def _port_arguments(flow: TcpFlow) -> Iterator[str]:
    for key, port in (("sport", flow.source_port), ("dport", flow.destination_port)):
        yield from ("tcp", key, str(port)) if port is not None else ()

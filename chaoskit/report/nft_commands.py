"""A clamp in the exact arguments of nft(8): its table lists the very same rules as ours."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.knobs import Clamp, Flow, Handshakes

_HOOKS = {"egress": "postrouting", "ingress": "prerouting"}
_LINKS = {"egress": "oifname", "ingress": "iifname"}
_VERSIONS = {"ip": ("ipv4", "ip"), "ipv6": ("ipv6", "ip6")}


def clamp_arguments(clamp: Clamp, table: tuple[str, str]) -> Iterator[tuple[str, ...]]:
    """What follows `nft add`, a line each, for a table that is named by its family and its name."""
    yield ("table", *table)
    whose = clamp.of or (None,)
    for hook in dict.fromkeys(map(_hook, whose)):
        yield ("chain", *table, hook, f"{{ type filter hook {hook} priority mangle ; }}")
    for each in whose:
        words = ("tcp", "flags", "syn", "tcp", "option", "maxseg", "size", "set", str(clamp.mss))
        yield ("rule", *table, _hook(each), *(_whose(each) if each is not None else ()), *words)


def _hook(whose: Handshakes | None) -> str:
    return _HOOKS[whose.hook] if whose is not None else "forward"


def _whose(whose: Handshakes) -> Iterator[str]:
    version, header = _VERSIONS[whose.family]
    yield from (_LINKS[whose.hook], whose.link, "meta", "nfproto", version)
    for key, value in _compared(whose.flow, header):
        yield from (*key, str(value)) if value is not None else ()


def _compared(flow: Flow, header: str) -> Iterator[tuple[tuple[str, str], str | int | None]]:
    yield (header, "saddr"), flow.source
    yield (header, "daddr"), flow.destination
    yield ("tcp", "sport"), flow.source_port
    yield ("tcp", "dport"), flow.destination_port

"""Writes an MSS clamp as arguments of nft(8) that make the same rules."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.knobs import Clamp, Flow, Handshakes

_HOOKS = {"egress": "postrouting", "ingress": "prerouting"}
_LINKS = {"egress": "oifname", "ingress": "iifname"}
_VERSIONS = {"ip": ("ipv4", "ip"), "ipv6": ("ipv6", "ip6")}


def clamp_arguments(clamp: Clamp, table: tuple[str, str]) -> Iterator[tuple[str, ...]]:
    """The arguments of `nft add`, a line each; `table` is its family and its name."""
    yield ("table", *table)
    flows = clamp.of or (None,)
    for hook in dict.fromkeys(map(_hook, flows)):
        yield ("chain", *table, hook, f"{{ type filter hook {hook} priority mangle ; }}")
    for each in flows:
        words = ("tcp", "flags", "syn", "tcp", "option", "maxseg", "size", "set", str(clamp.mss))
        yield ("rule", *table, _hook(each), *(_match_arguments(each) if each is not None else ()), *words)


def _hook(flows: Handshakes | None) -> str:
    return _HOOKS[flows.hook] if flows is not None else "forward"


def _match_arguments(flows: Handshakes) -> Iterator[str]:
    version, header = _VERSIONS[flows.family]
    yield from (_LINKS[flows.hook], flows.link, "meta", "nfproto", version)
    for key, value in _compared(flows.flow, header):
        yield from (*key, str(value)) if value is not None else ()


def _compared(flow: Flow, header: str) -> Iterator[tuple[tuple[str, str], str | int | None]]:
    yield (header, "saddr"), flow.source
    yield (header, "daddr"), flow.destination
    yield ("tcp", "sport"), flow.source_port
    yield ("tcp", "dport"), flow.destination_port

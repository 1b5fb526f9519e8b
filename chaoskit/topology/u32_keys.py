"""Translates a flow to u32 keys, for kernels without flower: the same packets, or a refusal.

u32 compares bits at fixed offsets, so one flower filter may need several u32 filters:

| flow                       | filters                                                                         |
|----------------------------|---------------------------------------------------------------------------------|
| addresses, IPv4 protocol   | one                                                                             |
| ports over IPv4            | one per possible header length (5 to 15 words), unfragmented packets only       |
| fragments over IPv4        | one per bit of the offset and for "more fragments"                              |
| IPv6 with protocol or ports | none: u32 does not walk extension headers                                      |

Source: RFC 791 and RFC 8200 for the offsets; tc-u32(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from chaoskit.errors import RefusedError
from chaoskit.knobs import Flow, U32Key

_V4_SOURCE, _V4_DESTINATION, _V6_SOURCE, _V6_DESTINATION = 12, 16, 8, 24
_FRAGMENT_BITS = 0x3FFF  # of the 16 bits at offset 6: "more fragments" and the offset
_WORD = 0xFFFF_FFFF


def keys(family: str, flow: Flow) -> Iterator[tuple[U32Key, ...]]:
    """The alternatives: a packet belongs to the flow when it matches all keys of one alternative.

    Raises RefusedError where u32 cannot express the flow.
    """
    if family == "ipv6" and (flow.protocol is not None or flow.is_fragment is not None):
        raise RefusedError(
            "this kernel has no flower, and u32 cannot look behind IPv6 extension headers: "
            "sudo modprobe cls_flower, or select IPv4 or a whole host"
        )
    common = _addresses(family, flow)
    if flow.protocol is not None:
        common = (*common, U32Key(flow.protocol << 16, 0x00FF_0000, 8))
    if flow.source_port is not None or flow.destination_port is not None:
        unfragmented = U32Key(0, _FRAGMENT_BITS, 4)
        for words in range(5, 16):
            length = U32Key(words << 24, 0x0F00_0000, 0)
            yield (*common, length, unfragmented, _ports(flow, 4 * words))
    elif flow.is_fragment:
        for bit in range(14):
            yield (*common, U32Key(1 << bit, 1 << bit, 4))
    else:
        yield common


def _ports(flow: Flow, offset: int) -> U32Key:
    value = mask = 0
    for port, shift in ((flow.source_port, 16), (flow.destination_port, 0)):
        if port is not None:
            value, mask = value | port << shift, mask | 0xFFFF << shift
    return U32Key(value, mask, offset)


def _addresses(family: str, flow: Flow) -> tuple[U32Key, ...]:
    places = (_V4_SOURCE, _V4_DESTINATION) if family == "ip" else (_V6_SOURCE, _V6_DESTINATION)
    return tuple(
        key
        for prefix, place in zip((flow.source, flow.destination), places, strict=True)
        for key in _prefix(prefix, place)
    )


def _prefix(prefix: str | None, place: int) -> Iterator[U32Key]:
    if prefix is None:
        return
    network = ip_network(prefix)
    value, mask = int(network.network_address), int(network.netmask)
    for shift in range(network.max_prefixlen - 32, -1, -32):
        if mask >> shift & _WORD:
            yield U32Key(
                value >> shift & _WORD, mask >> shift & _WORD, place + (network.max_prefixlen - 32 - shift) // 8
            )

"""Answers new TCP connections and new requests from other hosts with a RST, by nftables.

So does a host on which nothing listens. The first rule is that of `nft add rule inet T input iifname != lo tcp flags &
(fin | syn | rst | ack) == syn reject with tcp reset`. The others are for packets with data to a port on which the host
listens, so that a connection that was kept open is no way around. Answers under way go on, for their client only
acknowledges; so do the host's own calls, and its connections with itself. A packet has data if it is longer than its
headers, which nftables cannot add up: there is a rule for each length of a TCP header. The table disappears with its
creator. Each function acts in the namespace behind `fd`.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

from chaoskit.kernel.namespaces import inside
from chaoskit.kernel.netfilter import nftables
from chaoskit.kernel.netfilter.expressions import (
    EQUAL,
    FLAGS,
    GREATER,
    NETWORK,
    NOT_EQUAL,
    TRANSPORT,
    Expression,
    Family,
    bitwise,
    compare,
    encode,
    link_of,
    match_family,
    match_ports,
    match_tcp,
    payload,
    verdict,
)
from chaoskit.kernel.netfilter.nftables import ACCEPT, INET, OwnedTables
from chaoskit.kernel.tcp_table import tcp_sockets

_TABLE, _INPUT, _REQUESTS = "chaoskit-refusal", "input", "requests"
_FILTER = 0  # NF_IP_PRI_FILTER, linux/netfilter_ipv4.h
_LOOPBACK = b"lo".ljust(16, b"\0")  # IFNAMSIZ
_FIN_SYN_RST_ACK, _SYN = b"\x17", b"\x02"
_HEADER = 12  # RFC 9293: the offset of the byte whose upper half is the header's length in words
_WORDS = range(5, 16)
_SIZES: dict[Family, tuple[int, int]] = {"ip": (2, 20), "ipv6": (4, 0)}
"""RFC 791, RFC 8200: the offset of a packet's length, and how many bytes of it are headers of IP."""
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
    with inside(fd):
        ports = sorted({each.local_port for each in tcp_sockets() if not each.is_connected})
    nft = nftables.create(fd, owned, INET, _TABLE)
    nft.chain("add", table=_TABLE, name=_INPUT, hook="input", type="filter", priority=_FILTER, policy=ACCEPT)
    nft.chain("add", table=_TABLE, name=_REQUESTS)
    rules = [
        (_INPUT, [*_of_others(), *_match_syn(), _RESET]),
        *((_INPUT, [*_of_others(), *match_ports(None, port), verdict("jump", _REQUESTS)]) for port in ports),
        *((_REQUESTS, [*_match_data(family, words), _RESET]) for family in _SIZES for words in _WORDS),
    ]
    for chain, rule in rules:
        nft.rule("add", table=_TABLE, chain=chain, expressions=(list(map(encode, rule)),))


_RESET: Expression = ("reject", {"TYPE": _TCP_RST, "ICMP_CODE": 0})


def _of_others() -> Iterator[Expression]:
    """Matches TCP from other hosts."""
    yield link_of("ingress")
    yield compare(NOT_EQUAL, _LOOPBACK)
    yield from match_tcp()


def _match_syn() -> Iterator[Expression]:
    """Matches the first packet of a connection."""
    yield payload(TRANSPORT, FLAGS, 1)
    yield bitwise(_FIN_SYN_RST_ACK)
    yield compare(EQUAL, _SYN)


def _match_data(family: Family, words: int) -> Iterator[Expression]:
    """Matches packets with data whose TCP header has so many words."""
    offset, size = _SIZES[family]
    yield from match_family(family)
    yield payload(TRANSPORT, _HEADER, 1)
    yield bitwise(b"\xf0")
    yield compare(EQUAL, bytes([words << 4]))
    yield payload(NETWORK, offset, 2)
    yield compare(GREATER, struct.pack(">H", size + 4 * words))

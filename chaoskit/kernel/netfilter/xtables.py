"""Reads the FORWARD policy of legacy iptables' filter table, which nftables does not show.

Sources: linux/netfilter_ipv4/ip_tables.h (ipt_getinfo, ipt_get_entries, ipt_entry), linux/netfilter/x_tables.h
(xt_standard_target). Reads the table only if it exists already, so that no module is loaded. Needs root.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAMES = Path("/proc/net/ip_tables_names")
_TABLE = b"filter".ljust(32, b"\0")
_GET_INFO, _GET_ENTRIES = 64, 65  # IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES
_INFO, _HEAD = struct.Struct("=32sI5I5III"), struct.Struct("=32sI4x")
_FORWARD = 2  # NF_INET_FORWARD
_RULE = struct.Struct("=16x16s16s16s16sHBBIHH4x16x")  # interfaces, masks, protocol, flags, inversions, offsets
_TARGET = struct.Struct("=H29sB")
_INVERTED = 0x01 | 0x02  # IPT_INV_VIA_IN, IPT_INV_VIA_OUT
_ACCEPT, _DROP = -2, -1  # a standard target's verdict is the negative of NF_ACCEPT or NF_DROP, less one
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Rule:
    """A rule at `offset` in its table: the prefixes of the interface names that it matches (full names end with a zero
    byte; b"": any), and the verdict of a standard target; None for other targets."""

    offset: int
    iif: bytes
    oif: bytes
    verdict: int | None


def blocks_forwarding(link: str) -> bool:
    """Whether the policy is drop and no rules accept packets that arrive on this link and that leave by it."""
    try:
        if "filter" not in _NAMES.read_text().split():
            return False
        policy, table = _table()
    except OSError:  # no such tables, or no permission to read them
        return False
    found = list(rules(table))
    if not any(rule.offset == policy and rule.verdict == _DROP for rule in found):
        return False
    name = link.encode() + b"\0"
    accepting = [rule for rule in found if rule.verdict == _ACCEPT]
    incoming = any(rule.iif and name.startswith(rule.iif) for rule in accepting)
    outgoing = any(rule.oif and name.startswith(rule.oif) for rule in accepting)
    return not (incoming and outgoing)


def rules(table: bytes) -> Iterator[Rule]:
    """The rules of all chains, in their order."""
    offset = 0
    while offset + _RULE.size <= len(table):
        incoming, outgoing, comes_mask, goes_mask, _, _, inverted, _, target, size = _RULE.unpack_from(table, offset)
        verdict = None
        length, name, _ = _TARGET.unpack_from(table, offset + target)
        if not name.strip(b"\0") and length >= _TARGET.size + 4:
            verdict = struct.unpack_from("=i", table, offset + target + _TARGET.size)[0]
        if inverted & _INVERTED:
            verdict = None
        yield Rule(offset, _name_prefix(incoming, comes_mask), _name_prefix(outgoing, goes_mask), verdict)
        offset += max(size, _RULE.size)


def _name_prefix(name: bytes, mask: bytes) -> bytes:
    return name[: len(mask.rstrip(b"\0"))]


def _table() -> tuple[int, bytes]:
    """The offset of FORWARD's policy in the table, and the table. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        info = _INFO.unpack(_getsockopt(raw, _GET_INFO, _TABLE.ljust(_INFO.size, b"\0")))
        size = info[-1]
        entries = _getsockopt(raw, _GET_ENTRIES, _HEAD.pack(_TABLE, size) + bytes(size))
    return info[7 + _FORWARD], entries[_HEAD.size :]


def _getsockopt(raw: socket.socket, option: int, info: bytes) -> bytes:
    room, length = ctypes.create_string_buffer(info, len(info)), ctypes.c_uint32(len(info))
    if _libc.getsockopt(raw.fileno(), socket.IPPROTO_IP, option, room, ctypes.byref(length)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return room.raw

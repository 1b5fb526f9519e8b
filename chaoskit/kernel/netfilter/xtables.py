"""The policy of the FORWARD chain in the filter table of legacy iptables, which nftables does not tell of.

Sources: linux/netfilter_ipv4/ip_tables.h (ipt_getinfo, ipt_get_entries, ipt_entry), linux/netfilter/x_tables.h
(xt_standard_target). Asks only for a table that is there already, so that nothing is loaded or made. Needs root.
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
_RULE = struct.Struct("=16x16s16s16s16sHBBIHH4x16x")  # ends, their masks, protocol, flags, inverted, where what is
_TARGET = struct.Struct("=H29sB")
_INVERTED = 0x01 | 0x02  # IPT_INV_VIA_IN, IPT_INV_VIA_OUT
_ACCEPT, _DROP = -2, -1  # a standard target's verdict is the negative of NF_ACCEPT or NF_DROP, less one
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Rule:
    """A rule at `offset` in its table: the beginnings of the names of the links that it asks for (whole ones end with
    a zero byte; b"": any), and the verdict of a standard target, None of another."""

    offset: int
    comes_by: bytes
    goes_by: bytes
    verdict: int | None


def is_shut(link: str) -> bool:
    """Whether it drops by policy, and no rule of the table accepts what comes in by this link, or what goes out."""
    try:
        if "filter" not in _NAMES.read_text().split():
            return False
        policy, table = _table()
    except OSError:  # no such tables here, or none that we may see
        return False
    found = list(rules(table))
    if not any(rule.offset == policy and rule.verdict == _DROP for rule in found):
        return False
    name = link.encode() + b"\0"
    accepting = [rule for rule in found if rule.verdict == _ACCEPT]
    comes = any(rule.comes_by and name.startswith(rule.comes_by) for rule in accepting)
    goes = any(rule.goes_by and name.startswith(rule.goes_by) for rule in accepting)
    return not (comes and goes)


def rules(table: bytes) -> Iterator[Rule]:
    """The rules of all chains, in their order."""
    offset = 0
    while offset + _RULE.size <= len(table):
        comes, goes, comes_mask, goes_mask, _, _, inverted, _, target, size = _RULE.unpack_from(table, offset)
        verdict = None
        length, name, _ = _TARGET.unpack_from(table, offset + target)
        if not name.strip(b"\0") and length >= _TARGET.size + 4:
            verdict = struct.unpack_from("=i", table, offset + target + _TARGET.size)[0]
        if inverted & _INVERTED:
            verdict = None
        yield Rule(offset, _asked(comes, comes_mask), _asked(goes, goes_mask), verdict)
        offset += max(size, _RULE.size)


def _asked(name: bytes, mask: bytes) -> bytes:
    return name[: len(mask.rstrip(b"\0"))]


def _table() -> tuple[int, bytes]:
    """Where in the table FORWARD's policy is, and the table. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as asking:
        told = _INFO.unpack(_ask(asking, _GET_INFO, _TABLE.ljust(_INFO.size, b"\0")))
        size = told[-1]
        entries = _ask(asking, _GET_ENTRIES, _HEAD.pack(_TABLE, size) + bytes(size))
    return told[7 + _FORWARD], entries[_HEAD.size :]


def _ask(asking: socket.socket, what: int, told: bytes) -> bytes:
    room, length = ctypes.create_string_buffer(told, len(told)), ctypes.c_uint32(len(told))
    if _libc.getsockopt(asking.fileno(), socket.IPPROTO_IP, what, room, ctypes.byref(length)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return room.raw

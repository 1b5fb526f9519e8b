"""Manages nftables tables that disappear with the process that created them.

An owned table has the kernel's owner flag: no other process can change it, and it disappears with the netlink socket
that created it. So a killed process leaves nothing behind, because forked children have no copy of that socket. Each
function acts in the namespace behind `fd`; `owned` holds the sockets that own tables, by the table's name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFT_MSG_GETRULE,
    NFT_MSG_NEWSET,
    NFT_MSG_NEWSETELEM,
    nft_rule_msg,
    nft_set_elem_list_msg,
    nft_set_msg,
)
from pyroute2.nftables.main import NFTables

from chaoskit.kernel.namespaces import inside

INET, IP = 1, 2  # linux/netfilter.h: NFPROTO_INET, NFPROTO_IPV4
ACCEPT = 1
_OWNER_FLAG = 2  # NFT_TABLE_F_OWNER, linux/netfilter/nf_tables.h
DYNAMIC, TIMES_OUT = "NFT_SET_EVAL", "NFT_SET_TIMEOUT"
"""Flags of a set: rules add to it; its elements live for a time."""
_open_fds: set[int] = set()


@dataclass(frozen=True)
class OwnedTable:
    """The socket that owns a table."""

    nft: NFTables
    fd: int

    @classmethod
    def of(cls, nft: NFTables) -> OwnedTable:
        """Registers the socket, so that children forked from now on close it."""
        fd = nft.asyncore.socket.fileno()
        _open_fds.add(fd)
        return cls(nft, fd)

    def close(self) -> None:
        """Close the socket; the table disappears, unless another process has a copy of `fd`."""
        _open_fds.discard(self.fd)
        self.nft.close()


@dataclass(frozen=True)
class SetForm:
    """A set of nftables: the type of its key as nft(8) numbers it, the key's length in bytes, and how many milliseconds
    its elements live if they do not say so themselves (0: without end). `flags` as pyroute2 has them."""

    name: str
    type: int
    length: int
    ms: int
    flags: frozenset[str]


def _form(seen: Any) -> SetForm:
    type_, length, ms = (seen.get_attr(f"NFTA_SET_{name}") or 0 for name in ("KEY_TYPE", "KEY_LEN", "TIMEOUT"))
    return SetForm(seen.get_attr("NFTA_SET_NAME"), type_, length, ms, seen.get_attr("NFTA_SET_FLAGS"))


OwnedTables = dict[str, OwnedTable]


def exists(fd: int, family: int, name: str) -> bool:
    """Whether the table exists, with any owner."""
    with inside(fd):
        nft = NFTables(nfgen_family=family)
    try:
        return name in {message.get_attr("NFTA_TABLE_NAME") for message in nft.get_tables()}
    finally:
        nft.close()


def rules(fd: int, family: int, name: str) -> list[Any]:
    """The rules of all chains of this table; none when it does not exist."""
    request = nft_rule_msg()
    request["attrs"] = [("NFTA_RULE_TABLE", name)]
    with inside(fd):
        nft = NFTables(nfgen_family=family)
    try:
        return list(nft.request_get(request, NFT_MSG_GETRULE))
    finally:
        nft.close()


def sets(fd: int, family: int, name: str) -> set[SetForm]:
    """The forms of this table's sets."""
    with inside(fd):
        nft = NFTables(nfgen_family=family)
    try:
        return {_form(each) for each in nft.get_sets() if each.get_attr("NFTA_SET_TABLE") == name}
    finally:
        nft.close()


def add_set(nft: NFTables, table: str, form: SetForm) -> None:
    """Add a set to the table."""
    words = {"NAME": form.name, "FLAGS": form.flags, "KEY_TYPE": form.type, "KEY_LEN": form.length, "ID": 1}
    timeout = {"TIMEOUT": form.ms} if form.ms else {}
    _add(nft, nft_set_msg, NFT_MSG_NEWSET, {"TABLE": table, **words, **timeout})


def add_element(nft: NFTables, table: str, name: str, value: bytes, ms: int) -> None:
    """Add an element that lives so many milliseconds."""
    key = ("NFTA_SET_ELEM_KEY", {"attrs": [("NFTA_DATA_VALUE", value)]})
    element = {"attrs": [key, ("NFTA_SET_ELEM_TIMEOUT", ms)]}
    _add(nft, nft_set_elem_list_msg, NFT_MSG_NEWSETELEM, {"TABLE": table, "SET": name, "ELEMENTS": [element]})


def _add(nft: NFTables, message: type[Any], number: int, words: dict[str, Any]) -> None:
    """What `NFTables.sets` and `set_elems` are for, which fail in pyroute2 0.9.7."""
    nft._run_with_cleanup(nft.asyncore._command, message, {"add": number}, "add", {"kwarg": words})


def delete(owned: OwnedTables, name: str) -> None:
    """Delete the table if it is ours, at once, even if another process has a copy of its socket."""
    if name in owned:
        table = owned.pop(name)
        with suppress(NetlinkError):  # closing the socket does the same
            table.nft.table("del", name=name)
        table.close()


def create(fd: int, owned: OwnedTables, family: int, name: str) -> NFTables:
    """Create the table; returns the socket to fill it with."""
    with inside(fd):
        nft = NFTables(nfgen_family=family)
    owned[name] = OwnedTable.of(nft)
    nft.table("add", kwarg={"name": name, "flags": _OWNER_FLAG})
    return nft


def _close_in_child() -> None:
    """In a child: replaces the sockets by /dev/null; the numbers stay in use, as copied objects refer to them."""
    if _open_fds:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in _open_fds:
            os.dup2(null, fd, inheritable=False)
        os.close(null)


os.register_at_fork(after_in_child=_close_in_child)

"""Tables of nftables that go with whoever made them.

A table of ours has the kernel's owner flag: nobody else can change it, and it vanishes with the netlink socket that
made it, so that a process that is killed leaves nothing: forked children have no copy of that socket. Each function
acts in the namespace behind `fd`; `owned` holds the sockets that tables hang on, by the table's name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_GETRULE, nft_rule_msg
from pyroute2.nftables.main import NFTables

from chaoskit.kernel.namespaces import inside

INET, IP = 1, 2  # linux/netfilter.h: NFPROTO_INET, NFPROTO_IPV4
ACCEPT = 1
_OWNED = 2  # NFT_TABLE_F_OWNER, linux/netfilter/nf_tables.h
_open: set[int] = set()


@dataclass(frozen=True)
class Hold:
    """The socket that a table hangs on."""

    nft: NFTables
    fd: int

    @classmethod
    def of(cls, nft: NFTables) -> Hold:
        """No child that is forked from now on has it."""
        fd = nft.asyncore.socket.fileno()
        _open.add(fd)
        return cls(nft, fd)

    def close(self) -> None:
        """The table is gone, unless somebody was given a copy of `fd`."""
        _open.discard(self.fd)
        self.nft.close()


Owned = dict[str, Hold]


def has(fd: int, family: int, name: str) -> bool:
    """Whether there is such a table, whoever made it."""
    with inside(fd):
        nft = NFTables(nfgen_family=family)
    try:
        return name in {message.get_attr("NFTA_TABLE_NAME") for message in nft.get_tables()}
    finally:
        nft.close()


def rules(fd: int, family: int, name: str) -> list[Any]:
    """The rules of the table, in all of its chains; none when it is not there. Nobody else's are looked at."""
    asked = nft_rule_msg()
    asked["attrs"] = [("NFTA_RULE_TABLE", name)]
    with inside(fd):
        nft = NFTables(nfgen_family=family)
    try:
        return list(nft.request_get(asked, NFT_MSG_GETRULE))
    finally:
        nft.close()


def drop(owned: Owned, name: str) -> None:
    """Take the table away, when it is ours: at once, whoever may have a copy of its socket still."""
    if name in owned:
        hold = owned.pop(name)
        with suppress(NetlinkError):  # to close it does the same
            hold.nft.table("del", name=name)
        hold.close()


def make(fd: int, owned: Owned, family: int, name: str) -> NFTables:
    """A new table, and the socket to fill it by."""
    with inside(fd):
        nft = NFTables(nfgen_family=family)
    owned[name] = Hold.of(nft)
    nft.table("add", kwarg={"name": name, "flags": _OWNED})
    return nft


def _let_go() -> None:
    """In a child: their numbers stay taken, for the copies of our objects know of them."""
    if _open:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in _open:
            os.dup2(null, fd, inheritable=False)
        os.close(null)


os.register_at_fork(after_in_child=_let_go)

"""The kernel's errors in our words: what, where, the kernel's own sentence, and what to type next."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2.netlink.exceptions import NetlinkError

from chaoskit.errors import RefusedError
from chaoskit.knobs import Knob

_PARTS = {
    "veth": ("veth", "veth"),
    "ifb": ("ifb", "ifb"),
    "qdisc": ("netem", "sch_netem"),
    "masquerade": ("masquerading by nftables", "nf_tables nft_chain_nat nft_masq"),
    "clamp": ("nftables of the family inet", "nf_tables nf_tables_inet"),
    "clsact": ("clsact", "sch_ingress"),
    "filter": (
        "matchall, flower, u32, mirred, gact or police",
        "cls_matchall cls_flower cls_u32 act_mirred act_gact act_police",
    ),
}
"""For a kind of knob: the part of the kernel it is, and the modules that bring it."""

_LOOK = {
    "veth": "ip -d link",
    "ifb": "ip -d link",
    "link": "ip -d link",
    "mtu": "ip -d link",
    "address": "ip address",
    "route": "ip route",
    "neighbour": "ip neighbour",
    "sysctl": "sysctl -a",
    "clsact": "tc qdisc",
    "filter": "tc filter show dev LINK ingress, and egress",
    "qdisc": "tc qdisc",
    "clamp": "nft list ruleset",
    "masquerade": "nft list ruleset",
}


@contextmanager
def translated(knob: Knob, verb: str) -> Iterator[None]:
    """Errors of netlink and of /proc in the body come out as RefusedError; `verb` is "read" or "set"."""
    try:
        yield
    except NetlinkError as error:
        raise RefusedError(_sentence(knob, verb, error.code, error.args[-1])) from error
    except OSError as error:
        raise RefusedError(_sentence(knob, verb, error.errno or 0, error.strerror or str(error))) from error


def _sentence(knob: Knob, verb: str, code: int, words: str) -> str:
    match code, _PARTS.get(knob.kind):
        case errno.ENOENT | errno.EOPNOTSUPP | errno.EPROTONOSUPPORT, (part, modules):
            return f"{part} is not in this kernel ({words}): sudo modprobe -a {modules}, or --substrate uml"
        case errno.EPERM | errno.EACCES, _:
            next_step = "run as root, or --substrate uml"
        case _:
            next_step = f"to see what is there: {_LOOK.get(knob.kind, 'ip netns')}"
    return f"{knob} cannot be {verb}: the kernel says {words!r}; {next_step}"

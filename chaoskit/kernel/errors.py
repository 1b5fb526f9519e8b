"""Translates the kernel's errors to RefusedError, with what to type next."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2.netlink.exceptions import NetlinkError

from chaoskit.errors import RefusedError
from chaoskit.knobs import Knob

_FEATURES = {
    "veth": ("veth", "veth"),
    "ifb": ("ifb", "ifb"),
    "qdisc": ("netem", "sch_netem"),
    "masquerade": ("masquerading by nftables", "nf_tables nft_chain_nat nft_masq"),
    "process": ("reject by nftables", "nf_tables nft_reject_inet"),
    "clamp": ("nftables of the family inet", "nf_tables nf_tables_inet"),
    "cut": ("what ends connections in nftables", "nf_tables nf_tables_inet nft_reject_inet nft_quota"),
    "idle-timeout": ("what ends connections in nftables", "nf_tables nf_tables_inet nft_reject_inet"),
    "clsact": ("clsact", "sch_ingress"),
    "filter": (
        "matchall, flower, u32, mirred, gact or police",
        "cls_matchall cls_flower cls_u32 act_mirred act_gact act_police",
    ),
}
"""For each kind of knob: its kernel feature, and the modules that provide it."""

_INSPECT_COMMANDS = {
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
    "cut": "nft list ruleset",
    "idle-timeout": "nft list ruleset",
    "masquerade": "nft list ruleset",
    "process": "ps -A",
}


@contextmanager
def translate_errors(knob: Knob, verb: str) -> Iterator[None]:
    """Turns errors of netlink and /proc in the body into RefusedError; `verb` is "read" or "set"."""
    try:
        yield
    except NetlinkError as error:
        raise RefusedError(_message(knob, verb, error.code, error.args[-1])) from error
    except OSError as error:
        raise RefusedError(_message(knob, verb, error.errno or 0, error.strerror or str(error))) from error


def _message(knob: Knob, verb: str, code: int, reason: str) -> str:
    match code, _FEATURES.get(knob.kind):
        case errno.ENOENT | errno.EOPNOTSUPP | errno.EPROTONOSUPPORT, (part, modules):
            return f"{part} is not in this kernel ({reason}): sudo modprobe -a {modules}, or --substrate uml"
        case errno.EPERM | errno.EACCES, _:
            next_step = "run as root, or --substrate uml"
        case _:
            next_step = f"to see what is there: {_INSPECT_COMMANDS.get(knob.kind, 'ip netns')}"
    return f"{knob} cannot be {verb}: the kernel says {reason!r}; {next_step}"

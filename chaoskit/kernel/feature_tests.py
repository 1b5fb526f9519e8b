"""Tests the features of the kernel one by one, in the current namespace, which should be empty."""

from __future__ import annotations

import os

from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import cgroups
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Change, Clamp, Clsact, Filter, Flow, Ifb, Knob, MatchAll, Namespace, Netem, U32Match, Veth
from chaoskit.middlebox import Cut, TcpFlow

_SEED = 42
_FLOW = (TcpFlow("try", "egress", "ip"),)  # tables for both IP versions, which Linux has only with IPv6
_QDISC = Knob("qdisc", "", "try")
_TESTS: dict[str, Change] = {
    "namespaces": (Knob("namespace", "", "there"), Namespace()),
    "veth": (Knob("veth", "", "try"), Veth("there", "try", "02:00:00:00:00:01", "02:00:00:00:00:02")),
    "netem": (_QDISC, Netem(delay=1_000_000, seed=_SEED)),
    "ifb": (Knob("ifb", "", "try-ifb"), Ifb()),
    "clsact": (Knob("clsact", "", "try"), Clsact()),
    "matchall": (Knob("filter", "", "try egress 1"), Filter("all", MatchAll(), redirect_to="try-ifb")),
    "flower": (Knob("filter", "", "try egress 2"), Filter("ip", Flow(), redirect_to="try-ifb")),
    "u32": (Knob("filter", "", "try egress 3"), Filter("ip", U32Match(()), redirect_to="try-ifb")),
    "drop": (Knob("filter", "", "try egress 4"), Filter("ip", U32Match(()), redirect_to=None)),
    "police": (Knob("filter", "", "try egress 5"), Filter("ip", U32Match(()), redirect_to=None, over=1400)),
    "clamp": (Knob("clamp", "", "try"), Clamp(1360)),
    "connections": (Knob("cut", "", "try"), Cut("reset", _FLOW, (), ms=100)),
    "quota": (Knob("cut", "", "try"), Cut("reset", _FLOW, _FLOW, bytes=1000)),
}


def probe_features() -> dict[str, str]:
    """The kernel's error for each feature; "" when it works."""
    with LinuxKernel(Facts(features=frozenset({"netem-seed"}))) as kernel:
        results = {feature: _error(kernel, change) for feature, change in _TESTS.items()}
        results["netem-seed"] = results["netem"] or _seed_error(kernel)
    return results | {"pids-cgroup": _cgroup_error()}


def _error(kernel: LinuxKernel, change: Change) -> str:
    try:
        kernel.write(*change)
    except RefusedError as error:
        return str(error)
    return ""


def _seed_error(kernel: LinuxKernel) -> str:
    netem = kernel.read(_QDISC)
    if isinstance(netem, Netem) and netem.seed == _SEED:
        return ""
    return "this kernel ignores the seed of netem: use kernel 6.6 or later for repeatable loss"


def _cgroup_error() -> str:
    try:
        cgroups.remove(cgroups.create(f"chaoskit-try-{os.getpid()}", 1))
    except RefusedError as error:
        return str(error)
    return ""

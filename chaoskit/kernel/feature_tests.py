"""The features of a kernel, tried one after the other in the namespace we are in, which should be empty."""

from __future__ import annotations

from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Change, Clamp, Clsact, Filter, Flow, Ifb, Knob, MatchAll, Namespace, Netem, U32Match, Veth

_SEED = 42
_SHAPED = Knob("qdisc", "", "try")
_TRIALS: dict[str, Change] = {
    "namespaces": (Knob("namespace", "", "there"), Namespace()),
    "veth": (Knob("veth", "", "try"), Veth("there", "try", "02:00:00:00:00:01", "02:00:00:00:00:02")),
    "netem": (_SHAPED, Netem(delay=1_000_000, seed=_SEED)),
    "ifb": (Knob("ifb", "", "try-ifb"), Ifb()),
    "clsact": (Knob("clsact", "", "try"), Clsact()),
    "matchall": (Knob("filter", "", "try egress 1"), Filter("all", MatchAll(), redirect_to="try-ifb")),
    "flower": (Knob("filter", "", "try egress 2"), Filter("ip", Flow(), redirect_to="try-ifb")),
    "u32": (Knob("filter", "", "try egress 3"), Filter("ip", U32Match(()), redirect_to="try-ifb")),
    "drop": (Knob("filter", "", "try egress 4"), Filter("ip", U32Match(()), redirect_to=None)),
    "police": (Knob("filter", "", "try egress 5"), Filter("ip", U32Match(()), redirect_to=None, over=1400)),
    "clamp": (Knob("clamp", "", "try"), Clamp(1360)),
}


def attempt() -> dict[str, str]:
    """For each feature what the kernel answered; "" is a yes."""
    with LinuxKernel(Facts(features=frozenset({"netem-seed"}))) as kernel:
        answers = {feature: _refusal(kernel, change) for feature, change in _TRIALS.items()}
        answers["netem-seed"] = answers["netem"] or _seed_refusal(kernel)
        return answers


def _refusal(kernel: LinuxKernel, change: Change) -> str:
    try:
        kernel.write(*change)
    except RefusedError as error:
        return str(error)
    return ""


def _seed_refusal(kernel: LinuxKernel) -> str:
    netem = kernel.read(_SHAPED)
    if isinstance(netem, Netem) and netem.seed == _SEED:
        return ""
    return "this kernel draws netem's chance anew each time: take kernel 6.6 or later for repeatable loss"

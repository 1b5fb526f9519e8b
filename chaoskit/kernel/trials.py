"""The features of a kernel, tried one after the other in the namespace we are in, which should be empty."""

from __future__ import annotations

from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Change, Ifb, Knob, Namespace, Netem, Redirect, Veth

_SEED = 42
_SHAPED = Knob("qdisc", "", "try")
_TRIALS: dict[str, Change] = {
    "namespaces": (Knob("namespace", "", "there"), Namespace()),
    "veth": (Knob("veth", "", "try"), Veth("there", "try", "02:00:00:00:00:01", "02:00:00:00:00:02")),
    "netem": (_SHAPED, Netem(delay=1_000_000, seed=_SEED)),
    "ifb": (Knob("ifb", "", "try-ifb"), Ifb()),
    "redirect": (Knob("redirect", "", "try"), Redirect(to="try-ifb")),
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

"""Says why a machine cannot run a plan for a real interface: its kernel, and what is not set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chaoskit.facts import Facts

_GUEST = ", or --substrate uml"  # a remedy that does not apply on a real interface


def classifier(facts: Facts) -> str:
    """The classifier of filters on a real interface: u32 where flower is missing."""
    return "u32" if "u32" in facts.features and "flower" not in facts.features else "flower"


def kernel_obstacle(interface: str, needs: frozenset[str], facts: Facts) -> str:
    """Why this kernel cannot do it, and what to type; "" where it can. `interface`: "" where it is not known."""
    if classifier(facts) == "u32":
        needs -= {"flower"}
    answers = dict.fromkeys(facts.missing.get(each, each).removesuffix(_GUEST) for each in facts.lacks(needs))
    if not answers:
        return ""
    which = f", {facts.kernel}, which has {interface}," if interface else f", {facts.kernel},"
    return f"this kernel{which} cannot do this: {'; '.join(answers)}"


def obstacles(interface: str, needs: frozenset[str], facts: Facts, unset: Iterable[str]) -> Iterator[str]:
    """That of the kernel, and one for each of these environment variables, which have no value; as far as there are."""
    if found := kernel_obstacle(interface, needs, facts):
        yield found
    for variable in unset:
        yield f"variable {variable} is not set: export {variable}=..., and with sudo --preserve-env={variable}"

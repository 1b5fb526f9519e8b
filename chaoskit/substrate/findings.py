"""Writes the findings of `chaoskit doctor` in lines: what is missing for one reason stands together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from chaoskit.substrate.doctor import Finding

NEEDED_FOR = {
    "namespaces": "labs",
    "veth": "labs",
    "netem": "delay, loss, rate and whatever else netem does",
    "netem-seed": "the same losses from the same seed",
    "ifb": "faults on what an interface receives",
    "clsact": "faults on an interface, black holes",
    "matchall": "faults on all traffic of an interface",
    "flower": "faults on selected traffic of an interface",
    "u32": "the same without flower",
    "drop": "path-MTU black holes",
    "police": "size-drop",
    "clamp": "mss-clamp",
    "connections": "cut, idle-timeout",
    "quota": "cut after a size",
    "pids-cgroup": "a limit on the processes of a host, against fork bombs",
}
"""What cannot be done without a feature; chaoskit/facts.py has the details."""
_KERNELS_WORDS = re.compile(r" \([^()]*\)")


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """One for each finding or group, and below a missing one what depends on it and what to type."""
    groups: dict[str, list[Finding]] = {}
    for each in findings:
        reason = "" if each.is_able else _KERNELS_WORDS.sub("", each.detail)
        groups.setdefault(reason or f" {each.name}", []).append(each)
    for same in groups.values():
        first, *more = same[0].detail.splitlines() or [""]
        reason, _, remedy = first.partition(": ") if _is_missing_feature(same[0]) else (first, "", "")
        names = ", ".join(each.name for each in same)
        yield f"  {'yes' if same[0].is_able else 'no ':3}  {names}{': ' if reason else ''}{reason}"
        if _is_missing_feature(same[0]):
            needs = dict.fromkeys(NEEDED_FOR[each.name] for each in same)
            yield f"       needed for: {'; '.join(needs)}"
        yield from (f"       type: {line}" for line in [remedy] if line)
        yield from (f"       {line}" for line in more)


def _is_missing_feature(finding: Finding) -> bool:
    return not finding.is_able and finding.name in NEEDED_FOR

"""Actions of Chaos Toolkit: a fault on a real interface for a limited time, and experiments.

The annotations are types and not their names, because Chaos Toolkit shows the types of arguments.
"""

import json
import re
import threading
from difflib import get_close_matches
from typing import Any

from chaoslib.exceptions import ActivityFailed
from chaoslib.types import Configuration

from chaoskit.chaostoolkit.activity_results import command, options_of, run_directory, succeeding, summary, words_of

__all__ = ["inject", "restore", "run_experiment"]

_LEASE = re.compile(r"chaoskit restore (\S+) ends it earlier")  # of report.injection
_CONFIGURED = ("clock", "kernel", "substrate")
_VERDICTS = ("met", "broken", "undecided", "none")
_ACCEPTED = ("met", "none")
_held: list[str] = []  # the leases that this process began
_holding = threading.Lock()


def inject(
    duration: str,
    interface: str = "",
    to: list[str] | None = None,
    down: str = "",
    up: str = "",
    options: dict[str, Any] | None = None,
    wait: bool = False,
) -> dict[str, Any]:
    """
    Put a fault on a real interface for `duration`, such as 60s, after which it ends by itself, whatever ends before.

    `to` selects the traffic (host:port, address or CIDR), `down` and `up` are faults of received and sent packets, as
    in tc(8): "delay 80ms loss 1%". `options` are the other options of `chaoskit inject`, such as everything, cut or
    netns. Returns its lease at once, or what it counted, after its end, if `wait`. Needs root, or CAP_NET_ADMIN.
    """
    given = {"interface": interface, "to": to, "down": down, "up": up, **options_of(options), "for": duration}
    keys = {name.strip("-").replace("_", "-"): value for name, value in given.items() if value not in (None, "")}
    if wait:
        return {"lease": None, "said": succeeding("inject", "-", given=json.dumps(keys)).out.splitlines()}
    said = succeeding("inject", "-", "--detach", given=json.dumps(keys)).out
    (lease,) = _LEASE.findall(said)
    with _holding:
        _held.append(lease)
    return {"lease": lease, "said": said.splitlines()}


def restore(lease: str = "", everything: bool = False) -> list[str]:
    """
    End a lease, or all that this run of Chaos Toolkit began; with `everything` all of this network namespace.

    Returns what was restored. Leases that have ended by themselves are no failure.
    """
    if lease:
        return succeeding("restore", lease).out.splitlines()
    if everything:
        return succeeding("restore").out.splitlines()
    with _holding:
        mine = list(reversed(_held))
        _held.clear()
    ended = [(each, command("restore", each)) for each in mine]
    lasting = {each: found for each, found in ended if found.code and _is_there(each)}
    if lasting:
        with _holding:
            _held.extend(lasting)
        raise ActivityFailed("; ".join(found.sentence for found in lasting.values()))
    return [line for _, found in ended if found.code == 0 for line in found.out.splitlines()]


def run_experiment(
    path: str,
    variant: str = "",
    overrides: dict[str, Any] | None = None,
    expect: list[str] | None = None,
    options: dict[str, Any] | None = None,
    out: str = "",
    configuration: Configuration | None = None,
) -> dict[str, Any]:
    """
    Run an experiment file of chaoskit, and return its verdict, objectives and latencies.

    It fails unless its verdict is one of `expect`: met and none by default. `overrides` replaces values of the file by
    their dotted paths, `options` are those of `chaoskit run`, such as clock and until_decided; the configuration may
    have them as chaoskit_clock, chaoskit_kernel and chaoskit_substrate. `out` keeps the run directory.
    """
    accepted = verdicts(expect)
    asked: dict[str, Any] = {}
    for name in _CONFIGURED:
        asked[name] = (configuration or {}).get(f"chaoskit_{name}")
    asked |= {"variant": variant or None, "set": [f"{key}={_text(value)}" for key, value in (overrides or {}).items()]}
    asked |= options_of(options)
    with run_directory(out) as run:
        ended = command("run", path, "--out", str(run), *words_of(asked))
        found = summary(run, ended, bool(out))
    if found["verdict"] not in accepted:
        raise ActivityFailed(f"{found['name']} is {found['verdict']}: {found['reason']}")
    return found


def verdicts(expect: object) -> tuple[str, ...]:
    """The argument `expect`: verdicts, or one. Raises ActivityFailed for what is none."""
    words = (expect,) if isinstance(expect, str) else tuple(expect) if isinstance(expect, list | tuple) else (expect,)
    for each in words if expect else ():
        if each not in _VERDICTS:
            near = get_close_matches(str(each), _VERDICTS, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(_VERDICTS)}"
            raise ActivityFailed(f"expect: {each!r} is no verdict; {advice}")
    return words if expect else _ACCEPTED


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_there(lease: str) -> bool:
    return command("status", lease, "--json").code == 0

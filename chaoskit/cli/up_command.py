"""Runs `chaoskit up`: chooses the ports, and shows what stands."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chaoskit.cli.lab import Lab
from chaoskit.errors import RefusedError
from chaoskit.terminal import say

if TYPE_CHECKING:
    from chaoskit.conduct.up import Standing


def run(lab: Lab, publish: tuple[str, ...], out: Path | None) -> int:
    """Keep it standing until a signal. Returns the exit code. Raises RefusedError, SpecError."""
    from chaoskit.conduct import port_forward
    from chaoskit.conduct.up import up
    from chaoskit.kernel.features import detect_features
    from chaoskit.plan.publish import published

    plan, announce = lab.plan()
    ports = published(plan, publish)
    facts = detect_features()
    if missing := facts.lacks(plan.needs):
        why = "; ".join(facts.missing.get(each, each) for each in missing)
        raise RefusedError(
            f"this kernel cannot build the lab: {why}; a guest can, and is not reachable from outside: use chaoskit "
            f"shell {lab.file}, or chaoskit exec {lab.file} -- COMMAND"
        )
    forwards = port_forward.listen(ports)
    announce("in this kernel")

    def show(standing: Standing) -> None:
        wide = max(len(name) for name, _, _ in standing.hosts)
        for name, addresses, what in standing.hosts:
            say(f"{name:{wide}}  {'  '.join(addresses)}  {what}".rstrip())
        scheme, path = urlsplit(plan.target).scheme, urlsplit(plan.target).path
        for local, to in standing.forwards:
            say(f"{scheme}://{local} -> {to}")
        if not publish:
            say(f"the target: {scheme}://{standing.forwards[0][0]}{path}")
        if standing.logs is not None:
            say(f"logs of the hosts: {standing.logs}/NAME.log")
        say("Ctrl-C ends it")

    with tempfile.TemporaryDirectory(prefix="chaoskit-") if out is None else nullcontext(_made(out)) as folder:
        return up(plan, forwards, Path(folder), show)


def _made(out: Path) -> str:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"--out {out} cannot be made ({error.strerror}): give another directory") from error
    return str(out)

"""Runs `chaoskit up`: chooses the ports, and shows what stands."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from chaoskit.cli.lab import Lab
from chaoskit.errors import RefusedError
from chaoskit.terminal import say, say_json

if TYPE_CHECKING:
    from chaoskit.conduct.up import Standing
    from chaoskit.substrate.selection import SubstrateOptions


def run(lab: Lab, publish: tuple[str, ...], out: Path | None, options: SubstrateOptions, json: bool) -> int:
    """Keep it standing until a signal. Returns the exit code. Raises RefusedError, SpecError."""
    from chaoskit.conduct import port_forward
    from chaoskit.planning.publish import published
    from chaoskit.substrate import lab_in_guest
    from chaoskit.substrate.selection import choose_for_command
    from chaoskit.substrate.uml import Uml

    plan, announce = lab.plan()
    ports = published(plan, publish)
    substrate, where = choose_for_command(plan.needs, options, plan.memory)
    forwards = port_forward.listen(ports)
    announce(where)
    show = partial(_show_json if json else _show, urlsplit(plan.target), bool(publish))
    with tempfile.TemporaryDirectory(prefix="chaoskit-") if out is None else nullcontext(_made(out)) as folder:
        if isinstance(substrate, Uml):
            return lab_in_guest.stand(substrate, plan, forwards, Path(folder), show)
        from chaoskit.conduct.up import up as here  # not at the top: it loads the server

        return here(plan, forwards, Path(folder), show)


def _show(target: SplitResult, is_chosen: bool, standing: Standing) -> None:
    wide = max(len(name) for name, _, _ in standing.hosts)
    for name, addresses, what in standing.hosts:
        say(f"{name:{wide}}  {'  '.join(addresses)}  {what}".rstrip())
    for local, to in standing.forwards:
        say(f"{target.scheme}://{local} -> {to}")
    if not is_chosen:
        say(f"the target: {_url(target, standing)}")
    if standing.logs is not None:
        say(f"logs of the hosts: {standing.logs}/NAME.log")
    say("Ctrl-C ends it")


def _show_json(target: SplitResult, is_chosen: bool, standing: Standing) -> None:
    from json import dumps

    from chaoskit.conduct.lab_client import addresses

    url = None if is_chosen else _url(target, standing)
    ports = {to: local for local, to in standing.forwards}
    say_json(dumps({"target": url, "ports": ports, "environment": addresses(url) if url else {}}))


def _url(target: SplitResult, standing: Standing) -> str:
    return f"{target.scheme}://{standing.forwards[0][0]}{target.path}"


def _made(out: Path) -> str:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"--out {out} cannot be made ({error.strerror}): give another directory") from error
    return str(out)

"""`chaoskit inject`: puts a fault on a real interface for a limited time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chaoskit.cli.namespace_options import Container, Netns, Pid

if TYPE_CHECKING:
    from chaoskit.engine.lease import Lease
    from chaoskit.spec.injection import Injection


def inject(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="File with the same keys; - is stdin.")] = None,
    interface: Annotated[str | None, typer.Option("--interface", "-i", help="Default: that of the route.")] = None,
    to: Annotated[list[str] | None, typer.Option(help="HOST[:PORT], ADDRESS[:PORT], CIDR[:PORT] or :PORT.")] = None,
    local_port: Annotated[str | None, typer.Option(metavar="PORT", help="Local port, of a server here.")] = None,
    protocol: Annotated[str | None, typer.Option(help="tcp, udp or icmp.")] = None,
    ip: Annotated[str | None, typer.Option(help="IP version, 4 or 6. Default: both.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Select all traffic of the interface.")] = False,
    down: Annotated[str | None, typer.Option(metavar="FAULT", help="On received packets: 'delay 80ms'.")] = None,
    up: Annotated[str | None, typer.Option(metavar="FAULT", help="On sent packets; tc's syntax, or YAML's.")] = None,
    size_drop_down: Annotated[str | None, typer.Option(metavar="BYTES", help="Drop longer received packets.")] = None,
    size_drop_up: Annotated[str | None, typer.Option(metavar="BYTES", help="Drop longer sent packets.")] = None,
    mss_clamp: Annotated[str | None, typer.Option(metavar="BYTES", help="Largest MSS in TCP handshakes.")] = None,
    cut: Annotated[str | None, typer.Option(metavar="AFTER", help="End TCP connections: 1kB, '2s by silence'.")] = None,
    idle_timeout: Annotated[str | None, typer.Option(metavar="AFTER", help="Forget silent connections: 60s.")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="Lease time, such as 60s. Required.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of netem: same seed, same losses.")] = None,
    allow: Annotated[bool, typer.Option("--allow-management-interface", help="It may hit SSH or DNS.")] = False,
    netns: Netns = None,
    pid: Pid = None,
    container: Container = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; the lease expires by itself.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, and the commands; change nothing.")] = False,
) -> None:
    """Put a fault on a real interface for a limited time. Affects only the selected traffic; everything is restored."""
    import os

    from chaoskit.conduct.inject import hold, prepare
    from chaoskit.engine.lease import state_folder
    from chaoskit.report import injection
    from chaoskit.report.screen import Screen

    flags = {"everything": everything, "allow-management-interface": allow}
    selector = {"interface": interface, "to": to, "local-port": local_port, "protocol": protocol, "ip": ip}
    sizes = {"size-drop-down": size_drop_down, "size-drop-up": size_drop_up, "mss-clamp": mss_clamp}
    places = {"netns": netns, "pid": pid, "container": container}
    faults = {"down": down, "up": up, "cut": cut, "idle-timeout": idle_timeout}
    options = places | selector | sizes | faults | {"for": for_, "seed": seed}
    options |= {name: True for name, given in flags.items() if given}
    plan, facts = prepare(_injection(file, options))
    screen = Screen()
    if dry_run:
        injection.render_dry_run(plan, facts, screen)
        return
    injection.render(plan, screen)

    def in_force(lease: Lease) -> bool:
        injection.render_lease(lease, detach, screen)
        return detach

    end = hold(plan, facts, state_folder(os.environ, os.getuid()), in_force)
    if not detach:
        injection.render_end(end.counters, end.too_long, end.ended, screen)
    raise typer.Exit(128 + end.sign if end.sign else 0)


def _injection(file: Path | None, options: dict[str, Any]) -> Injection:
    """The injection of a file, or of the options."""
    from chaoskit.spec.load import load_injection
    from chaoskit.spec.options import injection, require_no_options

    return injection(options) if file is None else load_injection(require_no_options(file, options))

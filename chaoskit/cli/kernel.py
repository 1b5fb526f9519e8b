"""`chaoskit kernel build|status|cache|remove`: manages the guest kernel that supports virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.command import Command
from chaoskit.cli.group import Group
from chaoskit.terminal import Progress, say

app = typer.Typer(
    cls=Group,
    suggest_commands=False,
    no_args_is_help=True,
    help="Build and manage the guest kernel that supports virtual time.",
)


@app.command(cls=Command)
def build(
    source: Annotated[
        Path | None, typer.Option(help="Tarball of Linux 6.12.y, also one from kernel.org. Default: linux-source-6.12.")
    ] = None,
) -> None:
    """Build it from the distribution's source, or a tarball. Takes about ten minutes, and 2 GB of disk meanwhile."""
    from chaoskit.substrate.kernel_build import build
    from chaoskit.substrate.kernel_cache import cache

    with Progress() as progress:
        path = build(cache(), progress.show, source)
    say(str(path))


@app.command(cls=Command)
def status() -> None:
    """Show the kernels that were built or installed, and which one is used. Exit 0: one fits this chaoskit; 3: none."""
    from chaoskit.errors import RefusedError
    from chaoskit.substrate import kernel_program, kernel_status

    say(*kernel_status.lines())
    used = kernel_program.own_kernel()
    if used is None:
        raise RefusedError(kernel_program.own_absence())
    say(f"used: {used.path}, {used.origin}")


@app.command(cls=Command)
def cache() -> None:
    """Print key and folder of the cache, for a CI that keeps it. The lines are as $GITHUB_OUTPUT takes them."""
    from chaoskit.substrate import kernel_cache

    say(f"key={kernel_cache.key()}", f"path={kernel_cache.cache()}")


@app.command(cls=Command)
def remove() -> None:
    """Delete all kernels that were built. One that pip installed stays."""
    from chaoskit.substrate import kernel_cache, kernel_package

    for path in kernel_cache.remove(kernel_cache.cache()):
        say(f"deleted {path}")
    if packaged := kernel_package.packaged_kernel():
        say(f"{packaged.name} stays: pip uninstall {kernel_package.PACKAGE}")

"""`chaoskit kernel build|status|remove`: manages the guest kernel that supports virtual time."""

from __future__ import annotations

import typer

from chaoskit.terminal import Progress, say

app = typer.Typer(no_args_is_help=True, help="Build and manage the guest kernel that supports virtual time.")


@app.command()
def build() -> None:
    """Build it from the distribution's source. Takes about ten minutes, and 2 GB of disk meanwhile."""
    from chaoskit.substrate.kernel_build import build
    from chaoskit.substrate.kernel_cache import cache

    with Progress() as progress:
        path = build(cache(), progress.show)
    say(str(path))


@app.command()
def status() -> None:
    """Show the kernels that were built. Exit 0: one fits this chaoskit; 3: none does."""
    from chaoskit.errors import RefusedError
    from chaoskit.substrate import kernel_cache, uml

    place, source = kernel_cache.cache(), kernel_cache.version()
    for each in kernel_cache.cached_kernels(place):
        size = each.path.stat().st_size
        say(str(each.path), f"  release {uml.find(each.path).release}, {size / 1e6:.1f} MB")
        say(f"  from {kernel_cache.PACKAGE} {each.version}, {each.state(source)}")
    if kernel_cache.newest(place) is None:
        raise RefusedError(kernel_cache.absence(place))


@app.command()
def remove() -> None:
    """Delete all kernels that were built."""
    from chaoskit.substrate.kernel_cache import cache
    from chaoskit.substrate.kernel_cache import remove as delete

    for path in delete(cache()):
        say(f"deleted {path}")

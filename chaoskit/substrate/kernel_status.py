"""Describes chaoskit's own guest kernels on this machine: those built here, and the packaged one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chaoskit.substrate import kernel_cache, kernel_package, kernel_source, uml


def lines() -> Iterator[str]:
    """A few lines for each. Raises RefusedError for one that would not be booted."""
    source = kernel_source.installed()
    for built in kernel_cache.cached_kernels(kernel_cache.cache()):
        yield from _program(built.path)
        yield f"  built here from Linux {built.version}, {built.state(source.version if source else None)}"
    if packaged := kernel_package.packaged_kernel():
        packaged.check()
        yield from _program(packaged.path)
        yield f"  from {packaged.name}, Linux {packaged.version}, {packaged.state}"


def _program(path: Path) -> Iterator[str]:
    kernel = uml.find(path)
    yield str(path)
    yield f"  release {kernel.release}, {path.stat().st_size / 1e6:.1f} MB"
    lacking = [feature for feature in uml.OPTIONS if feature not in kernel.features]
    has = f"lacks {', '.join(lacking)}" if lacking else "has every feature"
    yield f"  by its configuration it {has}"

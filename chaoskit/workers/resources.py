"""Decides how many cells this machine can run at a time.

A guest takes its memory as it uses it, so that more could begin than can end.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.errors import RefusedError
from chaoskit.kernel.client_limits import client_limits
from chaoskit.planning.model import Plan
from chaoskit.substrate import guest_memory
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.units import Size, counted

_RESERVE = 256 << 20  # bytes of memory that stay free for chaoskit itself


def jobs(asked: int | None, processors: int, guest: Size | None, available: int) -> int:
    """How many cells run at a time: as many as asked, or as there are processors and memory.

    `guest` is the memory of a guest, None where there is none; `available` is that of the machine, bytes. Raises
    RefusedError where it does not suffice for those that were asked for, or for one.
    """
    if guest is None:
        return asked or processors
    fit = max(0, available - _RESERVE) // guest
    if fit < (asked or 1):
        each = f"{counted(asked or 1, 'guest')} of {megabytes(guest)}"
        remedy = f"--jobs {fit}" if fit else "free some"
        raise RefusedError(
            f"{each} and {megabytes(_RESERVE)} are more than the {megabytes(available)} of free memory: {remedy}"
        )
    return asked or min(processors, fit)


def largest_guest(plans: Sequence[Plan], where: SubstrateOptions) -> Size:
    """The memory of a guest that runs any of these plans."""
    return where.memory or max((plan.memory or guest_memory.DEFAULT for plan in plans), default=guest_memory.DEFAULT)


def memory() -> int:
    """Bytes of memory that programs can still take."""
    return client_limits("localhost").memory


def megabytes(size: int) -> str:
    """Bytes as people read them: `0.6 MB`, `537 MB`, `2.0 GB`."""
    if size >= 10**9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 10**7 else f"{size / 1e6:.1f} MB"

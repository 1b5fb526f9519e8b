"""Finds the guest kernel to boot, and says whether it runs an experiment in virtual time."""

from __future__ import annotations

from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.substrate import uml
from chaoskit.substrate.uml import GuestKernel

VIRTUAL = "virtual-time"
"""The feature of a guest kernel."""


def find(kernel: Path | None) -> GuestKernel | str:
    """The guest kernel to boot, or a sentence with the reason why there is none."""
    try:
        return uml.find(kernel)
    except RefusedError as error:
        return str(error)


def has_virtual_time(needs: frozenset[str], guest: GuestKernel | str) -> bool:
    """Whether this kernel, if it is one, has virtual time and all features that are needed."""
    return isinstance(guest, GuestKernel) and guest.features >= needs | {VIRTUAL}

"""What faults have in common: a fault asks nothing of a kernel and says nothing of itself, until it does.

Each has besides these `misfit(site)`, why it cannot be in force there ("" when it can), and `changes(site, limit,
seed)`, the knobs that it sets, in their order, with their settings; `limit` is the room of a queue whose author named
none, `seed` the experiment's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from chaoskit.faults.schema import SpecModel
from chaoskit.topology.edge import Segment
from chaoskit.topology.fault_site import Interface, Site


class FaultBase(SpecModel):
    """Base of every fault's words."""

    def needs(self) -> frozenset[str]:
        """The features that it asks of a kernel, beyond its stage's."""
        return frozenset()

    def roundings(self) -> Iterator[tuple[str, str, str]]:
        """(where, asked, what the kernel holds) for each value that the kernel cannot hold."""
        yield from ()

    def warnings(self) -> Iterator[str]:
        """What will not do what it says, or what a reader may not expect."""
        yield from ()


def link_error(link: Segment | None, site: Site) -> str:
    """Why a fault on this link cannot be there: a lab's is on a link of it, a real interface has none."""
    if isinstance(site, Interface):
        return f"a real interface has no link {link}; take link away" if link else ""
    return "" if link else f"say where in the lab; add link: {' or link: '.join(get_args(Segment))}"

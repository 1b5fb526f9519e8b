"""Defines the common base of all faults, with no needs, roundings or warnings by default.

Each fault also has `site_error(site)`, why it cannot be applied there ("" when it can), and `changes(site, limit,
seed)`, the knobs that it sets, in order, with their settings; `limit` is the limit of queues without one of their own,
`seed` the experiment's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from chaoskit.faults.schema import SpecModel
from chaoskit.topology.edge import Segment
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.units import Duration

LINK = "Of the lab; a real interface has none."
DIRECTION = "`down`: towards the client; `up`: towards the server."


class FaultBase(SpecModel):
    """Base of every fault's model."""

    def needs(self) -> frozenset[str]:
        """The kernel features that it needs, in addition to those of its stage."""
        return frozenset()

    def roundings(self) -> Iterator[tuple[str, str, str]]:
        """(where, asked, what the kernel holds) for each value that the kernel cannot hold."""
        yield from ()

    def warnings(self) -> Iterator[str]:
        """Pitfalls and effects that a reader may not expect."""
        yield from ()

    def warnings_within(self, longest: Duration) -> Iterator[str]:
        """The same of phases that are `longest` at most, those in a row taken as one."""
        del longest
        yield from ()


def link_error(link: Segment | None, site: Site) -> str:
    """Why a fault on this link does not fit the site: a lab needs a link, a real interface has none."""
    if isinstance(site, Interface):
        return f"a real interface has no link {link}; remove link" if link else ""
    return "" if link else f"say where in the lab; add link: {' or link: '.join(get_args(Segment))}"

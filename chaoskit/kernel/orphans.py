"""Finds filters and ifbs that chaoskit left in a namespace, without a journal.

A filter is an orphan when its priority is in our range, it has exactly our form, and its target is one of our ifbs (or
a deleted link). An ifb is an orphan when it has one of our names, and chaoskit's netem or none. A clsact has no name,
and no owner, so it stays, as all else does. A clamp is no orphan: its table disappears with the last process that
holds its socket.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyroute2 import IPRoute

from chaoskit.errors import RefusedError
from chaoskit.kernel import links
from chaoskit.kernel.errors import translate_errors
from chaoskit.kernel.tc import classifiers, filters, netem, qdiscs
from chaoskit.knobs import Filter, Foreign, Knob, Netem
from chaoskit.topology.steering import BLACKHOLE, IFBS, PRIORITIES


def find_orphans(ip: IPRoute) -> list[Knob]:
    """The orphaned knobs in the order of removal: set each to None. Changes nothing."""
    return [*_filters(ip), *_ifbs(ip)]


def find_orphans_here() -> list[Knob]:
    """The orphans in the network namespace of the calling thread. Needs no privileges. Raises RefusedError."""
    netem.register()
    classifiers.register()
    with translate_errors(Knob("filter", "", "of chaoskit"), "read"), IPRoute(ext_ack=True) as ip:
        return find_orphans(ip)


def _filters(ip: IPRoute) -> Iterator[Knob]:
    targets = {*IFBS.values(), BLACKHOLE, "", None}
    for link in ip.get_links():
        for place, setting in filters.filters_of_link(ip, link):
            if place.priority in PRIORITIES and isinstance(setting, Filter) and setting.redirect_to in targets:
                yield Knob("filter", "", str(place))


def _ifbs(ip: IPRoute) -> Iterator[Knob]:
    for name in (*IFBS.values(), BLACKHOLE):
        try:
            if links.read_ifb(ip, name) is None:
                continue
        except RefusedError:
            continue  # a foreign link of that name
        root = qdiscs.read(ip, name)
        if isinstance(root, Foreign):
            continue  # in use with a foreign qdisc
        if isinstance(root, Netem):
            yield Knob("qdisc", "", name)
        yield Knob("ifb", "", name)

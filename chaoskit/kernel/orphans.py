"""What bears our names in a namespace, found without a journal: for when nobody remembers having made it.

Ours is a filter of our priorities that is just like one of ours and leads to one of our ifbs (or to one that is
gone), and an ifb of our names with a netem of ours or none. A clsact has no name: whose it is nobody can tell,
so it stays. So does everything else. A clamp is no orphan: its table goes with the last process that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyroute2 import IPRoute

from chaoskit.errors import RefusedError
from chaoskit.kernel import links
from chaoskit.kernel.errors import translated
from chaoskit.kernel.tc import classifiers, filters, netem, qdiscs
from chaoskit.knobs import Filter, Foreign, Knob, Netem
from chaoskit.topology.steering import BLACKHOLE, IFBS, PRIORITIES


def orphans(ip: IPRoute) -> list[Knob]:
    """Every knob of ours in the order of taking away: set each to None. Changes nothing."""
    return [*_filters(ip), *_ifbs(ip)]


def seen() -> list[Knob]:
    """The same in the network namespace of the calling thread. To look takes no rights. Raises RefusedError."""
    netem.register()
    classifiers.register()
    with translated(Knob("filter", "", "of ours"), "read"), IPRoute(ext_ack=True) as ip:
        return orphans(ip)


def _filters(ip: IPRoute) -> Iterator[Knob]:
    targets = {*IFBS.values(), BLACKHOLE, "", None}
    for link in ip.get_links():
        for place, setting in filters.hanging(ip, link):
            if place.priority in PRIORITIES and isinstance(setting, Filter) and setting.to in targets:
                yield Knob("filter", "", str(place))


def _ifbs(ip: IPRoute) -> Iterator[Knob]:
    for name in (*IFBS.values(), BLACKHOLE):
        try:
            if links.read_ifb(ip, name) is None:
                continue
        except RefusedError:
            continue  # something else of that name
        root = qdiscs.read(ip, name)
        if isinstance(root, Foreign):
            continue  # somebody works with it
        if isinstance(root, Netem):
            yield Knob("qdisc", "", name)
        yield Knob("ifb", "", name)

"""Tests which packets a knob of a lab affects: what it was made for is what it is read as."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaoskit.knobs import Change
from chaoskit.topology import steering, ways
from chaoskit.topology.lab import EDGE, Topology, service
from chaoskit.topology.steering import OneDirection, TrafficSelector
from chaoskit.topology.ways import Way, may_send_too_big, way_of

SERVICE = service({"gateway": 2, "model": 1, "a-retrieval-service": 1})


def every_way(topology: Topology) -> Iterator[Way]:
    """All packets to a host, from a host, and from one to another."""
    for host in topology.hosts:
        yield Way(to=host)
        yield Way(from_=host)
        yield from (Way(to=host, from_=other) for other in topology.hosts if other != host)


WAYS = [(topology, way) for topology in (EDGE, SERVICE) for way in every_way(topology)]


@pytest.mark.parametrize(("topology", "way"), WAYS)
def test_a_knob_affects_the_way_that_it_was_made_for(topology: Topology, way: Way) -> None:
    """Queues, size filters, and routes with a path MTU; of the edge lab's client all goes to the only other host."""
    assert way_of(topology, ways.queue(topology, way)) == way
    for knob, _ in ways.drop_oversized(topology, way, 1400):
        assert way_of(topology, knob) == way
    routes = ways.limit_path_mtu(topology, way, (4, 6), 1400)
    assert routes
    for knob, _ in routes:
        assert may_send_too_big(topology, knob) or knob.kind == "rule"
        found = way_of(topology, knob)
        assert found is None or {found.to, found.from_} & {way.to, way.from_}


@pytest.mark.parametrize("topology", [EDGE, SERVICE])
def test_no_two_ways_share_a_knob(topology: Topology) -> None:
    """Faults on different packets never meet in one knob."""
    made: list[Change] = []
    for way in every_way(topology):
        made += [(ways.queue(topology, way), None)]
        made += ways.drop_oversized(topology, way, 1400)
    knobs = [knob for knob, _ in made]
    assert len(set(knobs)) == len(knobs)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_filter_of_an_interface_tells_its_direction(direction: OneDirection) -> None:
    """By its hook."""
    made = steering.drop_oversized("eth0", TrafficSelector(), (direction,), 1400, "flower")
    assert {steering.filter_direction(knob) for knob, _ in made} == {direction}

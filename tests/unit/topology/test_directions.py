"""Which direction's packets a knob of the lab is about."""

from __future__ import annotations

from typing import get_args

import pytest

from chaoskit.knobs import Knob
from chaoskit.topology import steering
from chaoskit.topology.edge import Segment, cut, hits, makes_narrow, narrow
from chaoskit.topology.steering import OneDirection


@pytest.mark.parametrize("way", get_args(OneDirection))
def test_a_knob_hits_the_direction_that_it_was_made_for(way: OneDirection) -> None:
    """Routes of a narrow place, and filters on either cable or on an interface; the router's own links hit what it
    sends."""
    knobs = [knob for knob, _ in narrow(way, (4, 6), 1400)]
    assert all(makes_narrow(knob) for knob in knobs)
    for segment in get_args(Segment):
        knobs += [knob for knob, _ in cut(segment, way, 1400)]
    knobs += [knob for knob, _ in steering.cut("eth0", steering.Aim(), (way,), 1400, "flower")]
    knobs.append(Knob("mtu", "router", {"up": "to-server", "down": "to-client"}[way]))

    assert {hits(knob) for knob in knobs} == {way}

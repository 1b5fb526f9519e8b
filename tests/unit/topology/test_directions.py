"""Tests which direction's packets a knob of the lab affects."""

from __future__ import annotations

from typing import get_args

import pytest

from chaoskit.knobs import Knob
from chaoskit.topology import steering
from chaoskit.topology.edge import Segment, affected_direction, drop_oversized, limit_path_mtu, may_send_too_big
from chaoskit.topology.steering import OneDirection


@pytest.mark.parametrize("direction", get_args(OneDirection))
def test_a_knob_affects_the_direction_that_it_was_made_for(direction: OneDirection) -> None:
    """Routes with a path MTU, size filters on either segment or on an interface, and MTUs of the router's links."""
    knobs = [knob for knob, _ in limit_path_mtu(direction, (4, 6), 1400)]
    assert all(may_send_too_big(knob) for knob in knobs)
    for segment in get_args(Segment):
        knobs += [knob for knob, _ in drop_oversized(segment, direction, 1400)]
    knobs += [
        knob for knob, _ in steering.drop_oversized("eth0", steering.TrafficSelector(), (direction,), 1400, "flower")
    ]
    knobs.append(Knob("mtu", "router", {"up": "to-server", "down": "to-client"}[direction]))

    assert {affected_direction(knob) for knob in knobs} == {direction}

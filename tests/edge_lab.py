"""The edge lab in the words of its links: client-router and router-server, down and up."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.faults.base import Segment, one_way
from chaoskit.knobs import Change, Knob
from chaoskit.topology import lab_build, ways
from chaoskit.topology.lab import EDGE, SERVER
from chaoskit.topology.ways import EDGE_WAYS, Way

(SERVER_V4,), (SERVER_V6,) = EDGE.resolve(SERVER, 4), EDGE.resolve(SERVER, 6)
_ENDS = {"down": Way(to="client"), "up": Way(to="server")}


def build(touched: frozenset[Knob], versions: tuple[int, ...] = lab_build.BOTH_VERSIONS) -> tuple[Change, ...]:
    """Every knob of the lab."""
    return lab_build.build(EDGE, touched, versions)


def qdiscs(segment: Segment, direction: str) -> tuple[Knob, ...]:
    """The qdiscs of this direction of this link."""
    return tuple(ways.queue(EDGE, EDGE_WAYS[segment, each]) for each in one_way(direction))


def drop_oversized(segment: Segment, direction: str, size: int) -> tuple[Change, ...]:
    """The size filters of this direction of this link."""
    found = (ways.drop_oversized(EDGE, EDGE_WAYS[segment, each], size) for each in one_way(direction))
    return tuple(change for changes in found for change in changes)


def limit_path_mtu(direction: str, versions: Iterable[int], mtu: int) -> tuple[Change, ...]:
    """The routes that limit the path MTU of this direction."""
    found = (ways.limit_path_mtu(EDGE, _ENDS[each], versions, mtu) for each in one_way(direction))
    return tuple(change for changes in found for change in changes)


def drop_too_big(direction: str, versions: Iterable[int]) -> tuple[Change, ...]:
    """The filters that drop the signals about this direction."""
    found = (ways.drop_too_big(EDGE, _ENDS[each], versions) for each in one_way(direction))
    return tuple(change for changes in found for change in changes)

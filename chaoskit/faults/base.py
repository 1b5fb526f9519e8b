"""Defines the common base of all faults, and the keys that say which packets a fault aims at.

Each fault has `site_error(site)`, why it cannot be applied there ("" when it can), and `changes(site, limit, seed)`,
the knobs that it sets, in order, with their settings; `limit` is the limit of queues without one of their own, `seed`
the experiment's.

| keys                | packets                                        | directions                 | where         |
|---------------------|------------------------------------------------|----------------------------|---------------|
| `link`              | of a link of the edge lab                      | `down`, `up`, `both`       | `lab: edge`   |
| `host`              | all that a host sends or receives              | `to-HOST`, `from-HOST`, `both` | every lab |
| `between: [A, B]`   | of this pair of hosts                          | `to-A`, `to-B`, `both`     | every lab     |
| none of them        | the selected traffic                           | `down`, `up`, `both`       | an interface  |
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from chaoskit.faults.schema import SpecModel, suggestion
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.lab import EDGE, Topology
from chaoskit.topology.steering import OneDirection
from chaoskit.topology.ways import EDGE_WAYS, Way
from chaoskit.units import Duration

Segment = Literal["client-router", "router-server"]
_DIRECTIONS = ("down", "up", "both")
_TO_OR_FROM = r"(to|from)-[a-z][a-z0-9-]*"


def _direction(words: str) -> str:
    if words not in _DIRECTIONS and not re.fullmatch(_TO_OR_FROM, words):
        near = difflib.get_close_matches(words, _DIRECTIONS, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"found {words[:60]!r}, expected down, up or both (of a host: to-HOST or from-HOST){meant}")
    return words


Direction = Annotated[
    str,
    AfterValidator(_direction),
    Field(json_schema_extra={"type": "string", "pattern": f"^({'|'.join(_DIRECTIONS)}|{_TO_OR_FROM})$"}),
]
LINK = "Of the edge lab: all packets on it."
HOST = "A host of the lab: all that it sends or receives."
BETWEEN = "Two hosts of the lab: their packets to each other."
DIRECTION = (
    "`down`: towards the client; `up`: towards the server. With `host` or `between`: `to-NAME`, `from-NAME`. `both`."
)
HostReference = Annotated[str, Field(min_length=1, max_length=63)]


class FaultBase(SpecModel):
    """Base of every fault's model."""

    @property
    def is_for_good(self) -> bool:
        """Whether what it changes stays so in the phases that follow."""
        return False

    @property
    def lasts(self) -> int | None:
        """After how many ns of its phase what it changes is put back; None: at the phase's end."""
        return None

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


class Aimed(FaultBase):
    """Base of the faults that apply to some of a lab's packets."""

    link: Segment | None = Field(None, description=LINK)
    host: HostReference | None = Field(None, description=HOST)
    between: tuple[HostReference, HostReference] | None = Field(None, description=BETWEEN)

    @model_validator(mode="after")
    def _one_aim(self) -> Aimed:
        given = [name for name in ("link", "host", "between") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} both say which packets; remove one of them")
        if self.between is not None and self.between[0] == self.between[1]:
            raise ValueError(f"{self.between[0]} is both ends; name two hosts")
        return self

    def aim_error(self, site: Site, directions: str | None = None) -> str:
        """Why these packets are not to be found at this site; "" when they are."""
        if isinstance(site, Interface):
            given = next((name for name in ("link", "host", "between") if getattr(self, name) is not None), None)
            if given is not None:
                return f"a real interface has no {'link ' + self.link if self.link else 'hosts'}; remove {given}"
            return _interface_direction_error(directions)
        names = site.topology.names
        for name in (*([self.host] if self.host else []), *(self.between or ())):
            if name not in names:
                return f"{name!r} is no host of this lab; {suggestion(name, names)}"
        if self.link is not None and site.topology != EDGE:
            return f"{self.link} is a link of lab: edge; write host: NAME or between: [NAME, NAME]"
        if not self.aims(site):
            return say_where(site.topology)
        return "" if directions is None or directions in self.ways_by_direction(site) else self._wrong(directions, site)

    def _wrong(self, direction: str, site: Lab) -> str:
        known = list(self.ways_by_direction(site))
        return f"direction {direction} does not belong to this; {suggestion(direction, known)}"

    def ways_by_direction(self, site: Lab) -> dict[str, tuple[Way, ...]]:
        """The packets that each word for a direction means here."""
        topology = site.topology
        if self.link is not None:
            down, up = EDGE_WAYS[self.link, "down"], EDGE_WAYS[self.link, "up"]
            return {"down": (down,), "up": (up,), "both": (down, up)}
        if self.host is not None:
            to = tuple(Way(to=each.host) for each in topology.members(self.host))
            from_ = tuple(Way(from_=each.host) for each in topology.members(self.host))
            return {f"to-{self.host}": to, f"from-{self.host}": from_, "both": (*to, *from_)}
        first, second = self.between or ("", "")
        pairs = [(a.host, b.host) for a in topology.members(first) for b in topology.members(second)]
        to_first = tuple(Way(to=a, from_=b) for a, b in pairs)
        to_second = tuple(Way(to=b, from_=a) for a, b in pairs)
        return {f"to-{first}": to_first, f"to-{second}": to_second, "both": (*to_first, *to_second)}

    def aims(self, site: Lab) -> bool:
        """Whether it is said which packets of this lab it is for."""
        del site
        return self.link is not None or self.host is not None or self.between is not None

    def ways(self, site: Lab, direction: str) -> tuple[Way, ...]:
        """The packets of this direction in a lab. None where `aim_error` has something to say."""
        return self.ways_by_direction(site).get(direction, ())


def one_way(direction: str) -> tuple[OneDirection, ...]:
    """A direction of a real interface as a tuple; "both" gives two."""
    ways: dict[str, tuple[OneDirection, ...]] = {"down": ("down",), "up": ("up",), "both": ("down", "up")}
    return ways.get(direction, ())


def _interface_direction_error(direction: str | None) -> str:
    if direction is None or one_way(direction):
        return ""
    return f"direction {direction} is for a lab with hosts; write down, up or both"


def say_where(topology: Topology) -> str:
    """What to write where a fault of a lab says nowhere which packets it is for."""
    if topology == EDGE:
        return f"say where in the lab; add link: {' or link: '.join(get_args(Segment))}"
    return f"say where in the lab; add host: NAME or between: [NAME, NAME], of {', '.join(topology.names)}"

"""Defines the cut fault: a middlebox that ends connections after a size or a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from chaoskit.faults.base import Direction
from chaoskit.faults.connection_places import ConnectionFault, Place
from chaoskit.faults.schema import SpecModel
from chaoskit.knobs import Change, Knob
from chaoskit.middlebox import Cut, Ending
from chaoskit.topology.connection_rules import ALL
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.steering import has_tcp
from chaoskit.units import Duration, Size

STEP, LONGEST = Duration(10**8), Duration(86_400 * 10**9)
"""Of the times: kernels count connections' time in ticks of 1 to 10 ms, so that all hold tenths of a second exactly."""
MOST = Size(10**12)
WRITTEN = r"\s*(?P<after>[^\s].*?)(?:\s+(?:by\s+)?(?P<by>reset|silence))?\s*"
BY = "`reset`: an RST tells the ends; `silence`: packets are dropped."


def ending_text(words: Any) -> Any:
    """`60s`, `60s reset` or `60s by reset` as a mapping."""
    match = re.fullmatch(WRITTEN, words) if isinstance(words, str) else None
    return {key: value for key, value in match.groupdict().items() if value} if match else words


def checked_time(time: Duration) -> Duration:
    """A time that all kernels can hold. Raises ValueError."""
    if time > LONGEST:
        raise ValueError(f"{time} is more than the maximum, {LONGEST}")
    if time < STEP or time % STEP:
        raise ValueError(f"{time} is no multiple of {STEP}; write whole tenths of a second, for example 2s or 500ms")
    return time


def _size_or_time(words: Any) -> Size | Duration:
    if isinstance(words, Size | Duration):
        return words
    text = str(words)
    if re.fullmatch(r"[0-9.]+", text):
        raise ValueError(f"{text!r} has no unit; write {text}kB or {text}s")
    try:
        size = Size.parse(text)
    except ValueError:
        try:
            return checked_time(Duration.parse(text))
        except ValueError as error:
            known = re.fullmatch(Duration.pattern(), text)
            raise ValueError(str(error) if known else f"{text!r} is no size and no time; write 1kB or 2s") from None
    if not 0 < size <= MOST:
        raise ValueError(f"{size} is out of bounds; write 1B to {MOST}")
    return size


class CutSpec(SpecModel):
    """When a connection is cut, and who is told."""

    after: Annotated[Size | Duration, PlainValidator(_size_or_time, json_schema_input_type=Size | Duration)] = Field(
        description="Bytes of packets with data, headers included (`1kB`), or time since the SYN (`2s`)."
    )
    by: Ending = Field("reset", description=BY)

    def setting(self, place: Place, direction: str) -> Cut:
        """The setting at a place, for the bytes of this direction."""
        if isinstance(self.after, Duration):
            return Cut(self.by, place.both, place.both, ms=self.after // 10**6)
        return Cut(self.by, place.both, place.ways.get(direction, place.both), bytes=int(self.after))


CutInput = Annotated[CutSpec, BeforeValidator(ending_text, json_schema_input_type=CutSpec | str)]


class CutFault(ConnectionFault):
    """Connections are cut after a size or a time, on a router of the lab or in the selected traffic of an interface."""

    direction: Direction | None = Field(
        None,
        description="Whose bytes count: `down` by default, with `host` or `between` `both`, each on its own. "
        "A time has no direction.",
    )
    cut: CutInput = Field(description="A size or a time, and how: `1kB`, `2s by silence`.")

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        if isinstance(self.cut.after, Duration) and self.direction is not None:
            return "direction says whose bytes count, and a time has none; remove direction"
        return self.aim_error(site, self.direction) or no_tcp(site)

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """A table at each place."""
        del limit, seed
        return tuple(
            (
                Knob("cut", place.namespace, place.name),
                self.cut.setting(place, self.direction or ("down" if place.name == ALL else "both")),
            )
            for place in self.places(site)
        )

    def needs(self) -> frozenset[str]:
        """The features that it asks of a kernel."""
        return frozenset({"connections"} | ({"quota"} if isinstance(self.cut.after, Size) else set()))

    def warnings_within(self, longest: Duration) -> Iterator[str]:
        """A time that no phase of this length reaches."""
        if isinstance(self.cut.after, Duration):
            yield from too_long(self.cut.after, longest)


def no_tcp(site: Site) -> str:
    """Why the selected traffic has no connections; "" when it may have."""
    if not isinstance(site, Interface) or has_tcp(site.selector):
        return ""
    return f"only TCP has connections, and the stage selects {site.selector.protocol} alone; write protocol: tcp there"


def too_long(after: Duration, longest: Duration) -> Iterator[str]:
    """A warning where `after` is not below the longest phase."""
    if after >= longest:
        yield f"after {after} ends nothing: no phase that uses it is longer than {longest}"

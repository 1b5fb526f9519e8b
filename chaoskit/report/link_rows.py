"""Draws what passed each link of a lab below a stream's timeline, and where packets were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chaoskit.analysis.attribution.stories import Story
from chaoskit.analysis.attribution.verdict import shown
from chaoskit.analysis.segments.links import Traffic
from chaoskit.units import counted

_MS = 1_000_000


def link_rows(story: Story, width: int, place: Callable[[int], int]) -> Iterator[str]:
    """Two lines for each link; only the second, what passed, where nothing was lost. `place`: of a time in a row."""
    for link in story.links:
        if link.lost:
            yield _drawn(link, width, place)
        yield _told(link)


def _drawn(link: Traffic, width: int, place: Callable[[int], int]) -> str:
    drawn = ["."] * width
    for at in link.came:
        drawn[place(at)] = "-"
    for at in link.lost:
        drawn[place(at)] = "x"
    return "".join(drawn)


def _told(link: Traffic) -> str:
    lost = f", {len(link.lost)} lost (x)" if link.lost else ", none lost"
    longest = f", up to {shown(link.longest)} longer than usual" if link.longest >= _MS else ""
    return f"{link.near} to {link.far}: {counted(len(link.came), 'packet')}{lost}{longest}"

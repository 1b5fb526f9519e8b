"""Writes the page of a sweep: its picture, then the tables that a terminal shows. It has no script."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from markupsafe import Markup

from chaoskit import __version__
from chaoskit.analysis.sweep_points import SweepMeasurement
from chaoskit.report.html import assets, sections
from chaoskit.report.html.blocks import blocks
from chaoskit.report.html.page import environment
from chaoskit.report.sweep_console import headline, overview, summary


def render(found: SweepMeasurement, picture: bytes) -> Iterator[str]:
    """The page in pieces. `picture` is an SVG file, shown as an image: nothing in it is executed."""
    drawn = [block for each in overview(found, sections.wide_console()) for block in blocks(each)]
    yield from (
        environment()
        .get_template("sweep.html")
        .generate(
            version=__version__,
            policy=assets.policy_of_pictures(),
            styles=[assets.text_of(name) for name in assets.STYLES],
            sweep=found.sweep,
            word=headline(found.sweep),
            summary=summary(found.sweep),
            picture=Markup(base64.b64encode(picture).decode()),
            overview=tuple(sections.titled(drawn)),
        )
    )

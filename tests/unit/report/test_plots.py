"""The plots are pictures of what was measured, with labels that colour does not need to tell."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import matplotlib.image
import numpy as np
import pytest
from hostile_text import hostile_run
from made_runs import Made, plan
from random_runs import random_run

from chaoskit.analysis.tables.run_tables import load_tables
from chaoskit.report.formats import png_plots, svg_plots
from chaoskit.report.formats.source import load
from chaoskit.report.plots import figures
from chaoskit.report.plots.styles import CAUSES, PHASES


def texts(run: Path) -> str:
    """All text of the drawing of a run."""
    file = io.BytesIO()
    svg_plots.write(load(run), file)
    return "\n".join(
        "".join(each.itertext()) for each in Xml.fromstring(file.getvalue()).iter() if each.tag.endswith("text")
    )


def test_a_drawing_says_what_it_shows(tmp_path: Path) -> None:
    """Titles, units, phases with their counts, causes, and the headline are text."""
    said = texts(random_run(3, streams=30).write(tmp_path / "run"))

    for words in ("First token", "Gaps between tokens", "Streams", "Round trip, ms", "share of streams"):
        assert words in said
    assert re.search(r"ms since the request was due; bands: 95 %", said)
    assert re.search(r"baseline, \d+ streams", said)
    assert re.search(r"[NSCBU]: \d+ stalls?, \w+", said)


def test_a_picture(tmp_path: Path) -> None:
    """It can be read, is wide enough, and is not empty; twice the same bytes."""
    source = load(random_run(3).write(tmp_path / "run"))
    one, other = io.BytesIO(), io.BytesIO()

    png_plots.write(source, one)
    png_plots.write(source, other)

    assert one.getvalue() == other.getvalue()
    picture = matplotlib.image.imread(io.BytesIO(one.getvalue()))
    assert picture.shape[1] == 1650
    assert len(np.unique((picture[:, :, :3] * 255).astype(int) @ (1 << 16, 1 << 8, 1))) > 50


def test_curves_are_those_of_the_tables(tmp_path: Path) -> None:
    """The first-token curve of a phase ends at the share that came, in a run where some never did."""
    made = Made(plan()).phases().many(10_000, 14_000, 1000)
    made.stream(15_000, [], "reset", 16_000)

    figure = figures.first_tokens(load_tables(made.write(tmp_path / "run")))

    (line,) = figure.axes[0].get_lines()
    shares = np.asarray(line.get_ydata())
    assert line.get_label() == "wifi, 5 streams"
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(4 / 5)


@pytest.mark.parametrize("make", [figures.first_tokens, figures.gaps, figures.streams, figures.network])
def test_a_run_without_anything(tmp_path: Path, make: object) -> None:
    """Each plot says so, and a notebook shows it."""
    tables = load_tables(Made(outcome=None).phases().write(tmp_path / "run"))

    assert make(tables)._repr_png_().startswith(b"\x89PNG")  # type: ignore[operator]


def test_hostile_text_is_drawn_as_it_is(tmp_path: Path) -> None:
    """No mathematics, no markup, no sign that nobody sees or that the font lacks."""
    said = texts(hostile_run(tmp_path / "run", "$x^2$ <script>&amp; \x1b[31m \u202e \n é\u4e16 _"))

    assert "$x^2$ <script>&amp; \\x1b[31m \\u202e \\n é\\u4e16 _" in said


def luminance(color: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_causes_stand_out_from_the_ground() -> None:
    """Colours of stalls have the contrast of graphics on white (WCAG 2.2, 1.4.11: 3 to 1); no two are alike."""
    assert len(set(CAUSES.values())) == len(CAUSES)
    assert len(set(PHASES)) == len(PHASES)
    assert [cause for cause, color in CAUSES.items() if 1.05 / (luminance(color) + 0.05) < 3] == []

"""The formats in which it is shown what a sweep measured."""

from __future__ import annotations

import io
from functools import partial
from typing import BinaryIO

from chaoskit.analysis.sweep_points import SweepMeasurement, load_swept
from chaoskit.analysis.sweep_result import is_sweep_folder
from chaoskit.analysis.tables import sweep_points as points
from chaoskit.report import formats, sweep_markdown
from chaoskit.report.documents import Document, Documents
from chaoskit.report.html import sweep_page
from chaoskit.report.sweep_console import headline, render, summary
from chaoskit.terminal import ascii_json


def _table(form: str, found: SweepMeasurement, file: BinaryIO) -> None:
    table = formats.table_format(form).begin(points.SCHEMA, points.axes(found), file)
    for point in found.points:
        table.add(point.values, points.rows(point))
    table.close()


def _plot(kind: str, found: SweepMeasurement, file: BinaryIO) -> None:
    from chaoskit.report.plots import doses, figures  # here, not at the top: they load an extra

    figures.save(doses.figure(found), file, kind)


def _html(found: SweepMeasurement, file: BinaryIO) -> None:
    picture = io.BytesIO()
    _plot("svg", found, picture)
    file.writelines(piece.encode() for piece in sweep_page.render(found, picture.getvalue()))


SWEEP_DOCUMENTS = Documents(
    kind="a sweep",
    is_folder=is_sweep_folder,
    load=load_swept,
    render=render,
    line=lambda found: f"{headline(found.sweep)}, {summary(found.sweep)}",
    as_json=lambda found: ascii_json(found.model_dump_json(indent=1)) + "\n",
    others={
        "markdown": Document("report.md", sweep_markdown.write),
        "csv": Document("points.csv", partial(_table, "csv")),
        "parquet": Document("points.parquet", partial(_table, "parquet"), is_text=False),
        "png": Document("doses.png", partial(_plot, "png"), is_text=False),
        "svg": Document("doses.svg", partial(_plot, "svg")),
        "html": Document("report.html", _html, needs="svg"),
    },
)

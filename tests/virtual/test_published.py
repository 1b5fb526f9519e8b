"""The experiments of `experiments/published/` find what the page about published figures says that they find."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from published_figures import FIGURES, OURS, SURFACE, Figure, Readings, named, run

from chaoskit.substrate.uml import GuestKernel

PAGE = (Path(__file__).parents[2] / "docs/published.md").read_text()


def test_every_experiment_has_a_figure() -> None:
    """No file claims what nobody looks at; the surface has a table of its own."""
    assert {file for file, _ in FIGURES} | {SURFACE} >= set(OURS)


def test_the_page_has_every_figure() -> None:
    """A row for each, with the same source, agreement and remark."""
    rows = [re.split(r" ?\| ?", line)[1:-1] for line in PAGE.splitlines()]

    assert [(*row[:2], row[4], *row[6:]) for row in rows if len(row) == 8 and "(../experiments" in row[0]] == [
        (*named(file, variant), each.source, each.agrees, each.remark)
        for (file, variant), figures in FIGURES.items()
        for each in figures
    ]


@pytest.mark.parametrize("figure", [each for figures in FIGURES.values() for each in figures], ids=lambda it: it.source)
def test_what_agrees_has_the_value_of_the_source(figure: Figure) -> None:
    """A number of the source is one of those of which we say yes, and none of those of which we say no."""
    number = re.search(r"([\d.]+) ms$", figure.source)

    if number and figure.agrees != "in kind":
        assert (figure.low <= float(number[1]) <= figure.high) == (figure.agrees == "yes")


@pytest.mark.parametrize("file", OURS)
def test_a_figure_is_found_again(file: str, kernel: GuestKernel, tmp_path: Path) -> None:
    """Each value lies where the page says: at the source's, on its side, or not there."""
    found = run(file, tmp_path / "run", "--kernel", str(kernel.path))

    figures = [(at, each) for at, figures in FIGURES.items() if at[0] == file for each in figures]
    values = [(at, each, found[at[1]][each.objective]) for at, each in figures]
    assert [(at, it) for at, each, it in values if not each.low <= it.value <= each.high] == []
    if file == SURFACE:
        grows_with_loss_and_round_trip(found)


def grows_with_loss_and_round_trip(found: Readings) -> None:
    """In each row and each column of the table."""
    rows = [[reading.value for reading in row.values()] for row in found.values()]
    columns = [list(column) for column in zip(*rows, strict=True)]
    assert [sorted(line) for line in rows + columns] == rows + columns

"""The outcomes of a soak as one table, its rows always in the same order, and a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from soak.trials import PARTS

LATEST = 1.0  # s from a kill until all is back, at the most
_TITLES = ("what happens to it", "times", *PARTS, "restored", "identical", "median", "worst")


def table(outcomes: Sequence[dict[str, Any]], rows: Iterable[str]) -> str:
    """Plain text, a line for each row that has outcomes, and one for the sum."""
    lines = [_TITLES]
    for row in rows:
        mine = [outcome for outcome in outcomes if outcome["row"] == row]
        if mine:
            lines.append((row, *_cells(mine)))
    lines.append(("sum", *_cells(outcomes)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES))]
    told = [_line(line, widths) for line in lines]
    rule = "-" * len(told[0])
    return "\n".join([told[0], rule, *told[1:-1], rule, told[-1]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if number == 0 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others])


def _cells(mine: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    late = sorted(outcome["late"] for outcome in mine)
    return (
        str(len(mine)),
        *(str(sum(outcome["part"] == part for outcome in mine)) for part in PARTS),
        str(sum(outcome["restored"] for outcome in mine)),
        str(sum(outcome["identical"] for outcome in mine)),
        f"{late[len(late) // 2]:.2f} s",
        f"{late[-1]:.2f} s",
    )


def neighbours(censuses: Sequence[dict[str, Any]]) -> str:
    """A line about the traffic that a fault was not for."""
    asked, touched, of_target, felt = (
        sum(each[what] for each in censuses) for what in ("asked", "touched", "target_asked", "target_touched")
    )
    return f"neighbours of a fault: {touched} of {asked} packets touched; of its target's {of_target}, {felt}"


def violations(outcomes: Sequence[dict[str, Any]], is_death: dict[str, bool]) -> list[str]:
    """A paragraph for everything left behind, and for every restore after a death that came too late."""
    told = []
    for outcome in outcomes:
        trial = (
            f"{outcome['row']}, on {outcome['link']}, {outcome['part']}, trial {outcome['seed']}, {outcome['kernel']}"
        )
        if outcome["left"]:
            left = "\n  ".join([*outcome["left"][:20], *(f"it said: {line}" for line in outcome["said"].splitlines())])
            told.append(f"left behind by {trial}:\n  {left}")
        elif is_death.get(outcome["row"], False) and outcome["late"] > LATEST:
            told.append(f"only {outcome['late']:.2f} s later restored: {trial}")
    return told

"""Generates the parts of docs/history.md: an example, the tables of the file, the error rates of change points."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
from rich.console import Console

from chaoskit.analysis.trends.change_points import change_points
from chaoskit.analysis.trends.points import PastRun, Point, Series, Subject
from chaoskit.analysis.trends.tracks import judge, tracks
from chaoskit.history.sql_tables import TABLES
from chaoskit.report import trends

COUNT = 250
"""Simulated series of each kind."""
_COMMITS = ("4f1c2b7a", "9d03e6f5", "b2a48c11", "e7719d40")


def example() -> str:
    """What `chaoskit history release-gate` shows of runs that became slower."""
    noise = np.random.default_rng(7)
    values = [float(each) for each in (*noise.normal(640, 15, 14), *noise.normal(815, 25, 8))]
    runs = [_run(at, value) for at, value in enumerate(values)]
    points = [Point(run, value, value - 40, value + 40, 200) for run, value in zip(runs, values, strict=True)]
    series = Series(Subject("ttft_p95 during wifi", "ttft_p95", "ms"), tuple(points))
    file = io.StringIO()
    (track,) = tracks(runs)
    trends.render(judge([(track, [series])]), Console(file=file, width=80, color_system=None), 0.0)
    return "$ chaoskit history release-gate\n" + "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _run(at: int, value: float) -> PastRun:
    return PastRun(
        identity=str(at),
        started=f"2026-11-{at + 1:02}T03:00:00Z",
        name="release-gate",
        variant="",
        experiment="5c1e9a3f" * 8,
        target="http://127.0.0.1:8000",
        clock="real",
        kernel="6.12.38",
        chaoskit="0.1.0",
        commit=_COMMITS[min(at // 7, 3)] * 5,
        branch="main",
        is_dirty=False,
        status="finished",
        verdict="broken" if value - 40 > 700 else "met" if value + 40 < 700 else "undecided",
        streams=400,
        is_overloaded=False,
    )


def tables() -> str:
    """A table of columns for each table of the file."""
    parts = []
    for table in TABLES:
        key = ", ".join(f"`{name}`" for name in table.key)
        rows = [f"| `{each.name}` | {each.kind.lower()} | {each.meaning} |" for each in table.columns]
        head = f"`{table.name}` has a row for {table.row}, named by {key}."
        parts.append("\n".join([head, "", "| column | type | what it holds |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def error_rates() -> str:
    """How often a change is found: without any, and with one after ten runs."""
    rows = ["| series | found |", "|---|--:|"]
    rows += [f"| {name} | {found_in(kind):.1%} |".replace("%", " %") for name, kind in KINDS.items()]
    return "\n".join(rows)


def found_in(kind: partial[np.ndarray]) -> float:
    """The share of series of this kind in which a change is found."""
    generator = np.random.default_rng(1)
    made = (kind(generator) for _ in range(COUNT))
    return sum(bool(change_points([*each], [1.0] * len(each))) for each in made) / COUNT


def _normal(runs: int, generator: np.random.Generator) -> np.ndarray:
    return generator.normal(size=runs)


def _skewed(runs: int, generator: np.random.Generator) -> np.ndarray:
    return generator.lognormal(sigma=1.5, size=runs)


def _shifted(after: int, sigmas: float, generator: np.random.Generator) -> np.ndarray:
    return np.concatenate([generator.normal(size=10), generator.normal(sigmas, size=after)])


KINDS = {
    "no change, 10 runs": partial(_normal, 10),
    "no change, 20 runs": partial(_normal, 20),
    "no change, 20 runs, with heavy tails": partial(_skewed, 20),
    **{
        f"by {sigmas} sigma after 10 runs, {after} runs later": partial(_shifted, after, sigmas)
        for sigmas, after in ((2, 3), (2, 8), (2, 12), (3, 3), (3, 5))
    },
}
"""By what the page calls them."""

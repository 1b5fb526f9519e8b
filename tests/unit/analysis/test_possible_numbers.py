"""Whatever is left of a run directory, no number in the result or the report is one that cannot be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from made_runs import ns
from possible import cut_in_time, impossible
from random_runs import random_run

from chaoskit.analysis.analyse import analyse
from chaoskit.records.jsonl import FILES

CUTS = (0, 1, 60, 4000, 10_100, 12_000, 20_050, 26_000, 29_900)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("at", CUTS)
def test_a_run_that_was_killed(tmp_path: Path, seed: int, at: int) -> None:
    """At any time: no negative latency or rate, no interval beyond what can be, no number needed that was there."""
    run = random_run(seed, streams=40).write(tmp_path / "run")
    cut_in_time(run, ns(at))

    assert list(impossible(analyse(run))) == []


@pytest.mark.parametrize("seed", range(24))
def test_a_run_whose_files_were_cut(tmp_path: Path, seed: int) -> None:
    """Each file by itself, after any of its lines."""
    chance = random.Random(seed)
    run = random_run(seed, streams=chance.choice((1, 3, 12))).write(tmp_path / "run")
    for file in chance.sample(sorted(set(FILES.values())), 4):
        path = run / file
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        path.write_text("".join(lines[: chance.randint(0, len(lines))]))

    assert list(impossible(analyse(run))) == []

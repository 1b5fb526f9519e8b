"""Streams of several runs count as if one run had had them all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_runs import random_run

from chaoskit.analysis.judge import Judgement, judge
from chaoskit.analysis.load import load_records
from chaoskit.analysis.run_spec import spec_of
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.streams.pooled import pool
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.sample_size import SHARES_OF_STREAMS


def judged(seed: int, folder: Path) -> Judgement:
    """A random run."""
    raw = load_records(random_run(seed, streams=8).write(folder / str(seed)))
    return judge(raw, spec_of(raw.plan))


def everything(found: Estimates, samples: dict[str, object]) -> dict[tuple[str, str], object]:
    """Every metric of every phase."""
    return {(name, metric): found.of(sample, metric) for name, sample in samples.items() for metric in METRICS}  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_a_pool_of_one_run_is_that_run(seed: int, tmp_path: Path) -> None:
    """Each metric has the same value and the same interval, but for a recovery, which is of one run."""
    run = judged(seed, tmp_path)

    samples, firsts = pool([run.samples])

    pooled = everything(Estimates.pooled([(run.estimates, firsts[0])]), dict(samples))
    alone = everything(run.estimates, dict(run.samples))
    assert {key: value for key, value in pooled.items() if key[1] != "recovery_time"} == {
        key: value for key, value in alone.items() if key[1] != "recovery_time"
    }


@pytest.mark.parametrize("seed", range(6))
def test_a_pool_has_what_its_runs_have(seed: int, tmp_path: Path) -> None:
    """Times, gaps, stalls, tokens, deaths and good streams of each phase are those of all runs together."""
    runs = [judged(3 * seed + number, tmp_path) for number in (0, 3, 6)]

    samples, firsts = pool([run.samples for run in runs])
    estimates = Estimates.pooled([(run.estimates, first) for run, first in zip(runs, firsts, strict=True)])

    for name, sample in samples.items():
        parts = [run.samples[name] for run in runs if name in run.samples]
        assert sample.seconds == sum(part.seconds for part in parts)
        assert len({stream.number for stream in sample.streams}) == sum(len(part.streams) for part in parts)
        assert sorted(value for _, value in sample.times.get("ttft", [])) == sorted(
            value for part in parts for _, value in part.times.get("ttft", [])
        )
        for column in ("length", "wait", "are_stalls", "are_unfinished", "excess"):
            np.testing.assert_array_equal(
                getattr(sample.gaps, column), np.concatenate([getattr(part.gaps, column) for part in parts])
            )
        assert len(set(sample.gaps.stream.tolist())) == sum(len(set(part.gaps.stream.tolist())) for part in parts)
        assert [stream.tokens for stream in sample.streams] == [
            stream.tokens for part in parts for stream in part.streams
        ]
        for metric in SHARES_OF_STREAMS:
            hits = sum(len(part.share_of_streams(metric)) for part in parts)
            base = sum(len(part.base_of_share(metric)) for part in parts)
            found = estimates.of(sample, metric).value
            assert found == pytest.approx(hits / base) if base else found is None
        goodput = [run.estimates.of(part, "goodput").value or 0 for run, part in zip(runs, parts, strict=True)]
        good = sum(each * part.seconds for each, part in zip(goodput, parts, strict=True))
        assert estimates.of(sample, "goodput").value == pytest.approx(good / sample.seconds)

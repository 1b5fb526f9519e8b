"""Makes run directories of the past, and history files of them: the runs of an experiment, one a day."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from made_runs import Made, plan

EXPERIMENT = "name: made-by-hand\n"
OBJECTIVES = ("ttft_p50 < 140ms during wifi", "interruption_rate < 5%")


def run_of(
    place: Path,
    day: int,
    ttft: float = 100,
    text: str = EXPERIMENT,
    commit: str | None = None,
    objectives: Sequence[str] = OBJECTIVES,
    every: float = 500,
) -> Path:
    """A run directory of that day of November, with this first-token latency (ms)."""
    made = Made(plan(objectives)).phases().many(0, 30_000, every, ttft=ttft).counters("wifi", 900, 100, 10_000, 20_000)
    run = made.write(place)
    (run / "experiment.yaml").write_text(text)
    (run / "machine.json").write_text(json.dumps({"clock": "real", "kernel": "6.12.38"}))
    known: dict[str, object] = {
        "started": f"2026-11-{day:02}T10:00:00+01:00",
        "time_zone": "CET",
        "chaoskit": "0.1.0",
        "chaoskit_commit": None,
        "python": "3.11",
        "kernel": "6.1",
        "libraries": {},
        "file": "made.yaml",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "commit": commit or f"{day:040x}",
        "is_modified": False,
    }
    (run / "provenance.json").write_text(json.dumps(known))
    return run


def runs_of(place: Path, ttfts: Sequence[float]) -> list[str]:
    """A run directory for each of these latencies, one a day."""
    return [str(run_of(place / f"run-{day:02}", day, ttft)) for day, ttft in enumerate(ttfts, 1)]

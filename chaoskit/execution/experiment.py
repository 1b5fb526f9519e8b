"""Runs an experiment file: what `chaoskit run` does, for other programs.

result = run_experiment("experiments/release-gate.yaml", overrides={"workload.request-rate": "4/s"})
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaoskit.analysis.result import Result
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.execution.options import RunOptions
from chaoskit.execution.single import run_silently
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.options import time_until_decided
from chaoskit.substrate.guest_memory import parse as parse_memory
from chaoskit.substrate.selection import SubstrateOptions


def run_experiment(
    path: Path | str,
    *,
    variant: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    out: Path | str | None = None,
    substrate: str = "auto",
    clock: str = "auto",
    kernel: Path | str | None = None,
    guest_memory: str | None = None,
    until_decided: str | None = None,
) -> Result:
    """Run an experiment file, and return its result. The run directory keeps the records, `result.run` names it.

    The options are those of `chaoskit run`. `overrides` replaces values of the file by their dotted paths, as --set
    does. `out` is a new or empty directory; without it the run is in runs/NAME-TIME. `until_decided` is the longest
    time of a run that repeats its timeline until every objective is decided, as "10m".

    It shows nothing. A verdict that is broken or undecided, and a run that was not restored, are in the result
    (`result.exit_code`). An experiment on an interface of another network namespace leaves this process in that one.
    Raises SpecError for the file or an option, RefusedError where this machine cannot run it. A signal that ends
    programs (SIGINT, SIGTERM, SIGHUP) ends the run first, which restores everything, and has its effect then.
    """
    loaded = load_variants(Path(path), overrides)
    where = SubstrateOptions(substrate, Path(kernel) if kernel else None, clock, parse_memory(guest_memory))
    most = time_until_decided(until_decided is not None, until_decided)
    options = RunOptions.of(loaded, where, Path(out) if out is not None else None, most)
    with InterruptHandler() as interrupts:
        result = run_silently(loaded.named(variant), options, interrupts)
    if interrupts.received is not None:
        signal.raise_signal(interrupts.received)
    return result

"""Names the metrics that dashboards get: each family with its type, its unit and what it means."""

from __future__ import annotations

from typing import Literal, NamedTuple

from chaoskit.analysis.result import Unit

Kind = Literal["gauge", "summary", "stateset", "info"]


class Family(NamedTuple):
    """`labels` beside `experiment`, and `variant` of a matrix."""

    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str


_PHASE = ("phase",)
_OBJECTIVE = ("phase", "objective")
LATENCIES = {
    "ttft": ("chaoskit_ttft_seconds", "First-token latency"),
    "itl": ("chaoskit_inter_token_latency_seconds", "Time between tokens"),
    "tpot": ("chaoskit_time_per_output_token_seconds", "Time per output token of a stream"),
    "e2el": ("chaoskit_request_duration_seconds", "End-to-end latency"),
}
"""Attributes of a phase's metrics."""
RATES = {
    "stalls_per_minute": ("chaoskit_stalls_per_minute", "", "Stalls per minute of streaming"),
    "stall_ratio": ("chaoskit_stall_ratio", "ratio", "Share of the time that a reader waits"),
    "interruption_rate": ("chaoskit_interruption_ratio", "ratio", "Share of the streams that were interrupted"),
    "goodput": ("chaoskit_goodput_streams_per_second", "", "Complete and usable streams per second"),
    "tokens_per_second": ("chaoskit_tokens_per_second", "", "Tokens per second of all streams"),
}
"""The same of rates: name, unit, help."""
OBSERVED: dict[Unit, tuple[str, str]] = {
    "ms": ("seconds", "seconds"),
    "share": ("ratio", "ratio"),
    "ratio": ("ratio", "ratio"),
    "per-minute": ("per_minute", ""),
    "per-second": ("per_second", ""),
    "count": ("count", ""),
    "bytes": ("bytes", "bytes"),
    "bit-per-second": ("bits_per_second", ""),
}
"""How the name of an objective's value and bound ends, by its unit, and what OpenMetrics calls that unit."""

FAMILIES: dict[str, Family] = {
    "chaoskit_run": Family(
        "info", "", ("chaoskit", "clock", "kernel", "commit", "target"), "What the run was made with"
    ),
    "chaoskit_run_status": Family("stateset", "", (), "How the run ended"),
    "chaoskit_run_verdict": Family("stateset", "", (), "What the run found"),
    "chaoskit_run_exit_code": Family("gauge", "", (), "Exit code of the run"),
    "chaoskit_run_duration_seconds": Family("gauge", "seconds", (), "How long was measured"),
    "chaoskit_run_start_timestamp_seconds": Family(
        "gauge", "seconds", (), "When the run began, in Unix time; not of a run in virtual time"
    ),
    "chaoskit_run_warnings": Family("gauge", "", (), "Warnings of the run"),
    "chaoskit_objective_verdict": Family("stateset", "", _OBJECTIVE, "The verdict on an objective"),
    **{
        f"chaoskit_objective_{what}_{suffix}": Family("gauge", unit, _OBJECTIVE, told)
        for suffix, unit in dict.fromkeys(OBSERVED.values())
        for what, told in (("observed", "What an objective is about, as measured"), ("bound", "The objective's bound"))
    },
    **{name: Family("summary", "seconds", _PHASE, told) for name, told in LATENCIES.values()},
    **{name: Family("gauge", unit, _PHASE, told) for name, unit, told in RATES.values()},
    "chaoskit_streams": Family(
        "gauge", "", ("phase", "state"), "Streams by what became of them; started counts them all"
    ),
    "chaoskit_stalls": Family("gauge", "", _PHASE, "Gaps that were longer than the threshold"),
    "chaoskit_stall_seconds": Family("gauge", "seconds", ("phase", "cause"), "Time of the stalls by whose it was"),
}

_RUN = ("run", "owner", "expect")
SUITE_FAMILIES: dict[str, Family] = {
    "chaoskit_suite_status": Family("stateset", "", (), "How the suite ended"),
    "chaoskit_suite_exit_code": Family("gauge", "", (), "Exit code of the suite"),
    "chaoskit_suite_duration_seconds": Family("gauge", "seconds", (), "How long the suite took, in real time"),
    "chaoskit_suite_start_timestamp_seconds": Family("gauge", "seconds", (), "When the suite began, in Unix time"),
    "chaoskit_suite_command_errors": Family("gauge", "", (), "Commands of the suite that failed"),
    "chaoskit_suite_run_as_expected": Family("gauge", "", _RUN, "Whether a run ended as the suite expects"),
    "chaoskit_suite_run_outcome": Family("stateset", "", _RUN, "What a run found"),
    "chaoskit_suite_run_exit_code": Family("gauge", "", _RUN, "Exit code of a run"),
    "chaoskit_suite_run_duration_seconds": Family("gauge", "seconds", _RUN, "How long a run took, in real time"),
}
"""Those of a suite; beside their `labels` each has `suite`."""

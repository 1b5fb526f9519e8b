"""What others published, beside what the included experiments give; `make quotes QUOTES=published` writes the table.

A figure is an objective of an experiment: its value and its interval, in virtual time.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import warm

from chaoskit.analysis.formatting import format_interval, format_value
from chaoskit.spec.matrix import load_variants

FOLDER = Path(__file__).parents[2] / "experiments"
OURS = [f"published/{path.stem}" for path in sorted((FOLDER / "published").glob("*.yaml"))]
MANY = math.inf

Agreement = Literal["yes", "in kind", "no"]


@dataclass(frozen=True)
class Figure:
    """A value of a source, and the objective with ours.

    `agrees` is what we say of the two, and `low` to `high` are the values of which that is true: "yes", the source's
    rule where it gives one, and else its value within 15 %; "in kind", its direction and not its size; "no", neither.
    """

    objective: str
    source: str
    low: float
    high: float
    agrees: Agreement
    remark: str = ""


@dataclass(frozen=True)
class Reading:
    """What a run found of an objective."""

    value: float
    reason: str
    """With its interval, as the report says it; without how many streams would decide the objective."""


Readings = dict[str, dict[str, Reading]]
"""By variant and objective."""

SURFACE = "published/stall-ratio-surface"
DELAY = "faults.path.netem.delay"
LOSSES = {"path+loss-1": "loss 1 %", "path+loss-3": "3 %", "path+loss-10": "10 %"}
_TIMEOUT = "the retransmission timeout, RTT + 200 ms, comes before the probe"
_SPIKE = "ttft_p90 < 2s during spike for premium"
_SHARED = "stalls_per_minute < 15"
_PROMPT = "ttft_p50 during even+lossy < 1.5x even"

FIGURES: dict[tuple[str, str], tuple[Figure, ...]] = {
    ("published/loss-against-jitter", ""): (
        Figure("stalls_per_minute < 10 during lossy", "about 0", 0, 3, "yes", "a lost last token is a stall"),
        Figure("itl_p95 during lossy < 1.1x even", "unchanged", 0.99, 1.01, "yes"),
        Figure("stalls_per_minute < 15 during jittery", "about 0", 0, 3, "yes"),
        Figure("itl_p95 during jittery > 1.2x even", "changes", 1.2, MANY, "yes", "the source gives no size"),
    ),
    ("published/burst-loss-by-pace", "token-interval=50ms"): (
        Figure("max_gap_p90 during lte < 3x baseline", "377 → 3483 ms, 9.2×", 3, MANY, "in kind", "longest gaps"),
        Figure("itl_p95 during lte < 2x baseline", "the same", 2, MANY, "in kind", "all gaps"),
    ),
    ("published/burst-loss-by-pace", "token-interval=1500ms"): (
        Figure("max_gap_p90 during lte < 3x baseline", "1501 → 2924 ms, 1.9×", 1, 3, "in kind", "longest gaps"),
        Figure("itl_p95 during lte < 2x baseline", "the same", 1, 2, "in kind", "all gaps"),
    ),
    ("published/one-lost-segment", "token-interval=20ms"): (
        Figure("max_gap_p50 < 200ms during near", "20 + 40 + 20 = 80 ms", 79, 81, "yes"),
        Figure("max_gap_p50 < 200ms during far", "20 + 160 + 40 = 220 ms", 219, 222, "yes"),
    ),
    ("published/one-lost-segment", "token-interval=600ms"): (
        Figure("max_gap_p50 < 200ms during near", "600 + 2 · 40 + 200 = 880 ms", 839, 850, "no", _TIMEOUT),
        Figure("max_gap_p50 < 200ms during far", "600 + 2 · 160 + 200 = 1120 ms", 959, 1060, "no", _TIMEOUT),
    ),
    ("slow-start-after-idle", ""): (
        Figure("ttft_p50 during far+mended < 0.7x far", "less", 0, 0.7, "yes", "RFC 5681 gives the rule, and no size"),
    ),
    ("published/shared-connection", "connections=shared"): (
        Figure(_SHARED, "slower", 15, MANY, "in kind", "pages, not streams"),
    ),
    ("published/shared-connection", "connections=kept"): (
        Figure(_SHARED, "faster", 0, 15, "in kind", "pages, not streams"),
    ),
    ("published/cubic-against-bbr", "congestion-control=cubic"): (
        Figure(_PROMPT, "3.27 Mbit/s", 1.5, MANY, "in kind", "a prompt of 1 MB, not a flow of half a minute"),
    ),
    ("published/cubic-against-bbr", "congestion-control=bbr"): (
        Figure(_PROMPT, "9150 Mbit/s", 1, 1.5, "in kind", "a prompt of 1 MB, not a flow of half a minute"),
    ),
    ("tiers/spike-three-policies", "policy=fcfs"): (
        Figure(_SPIKE, "p95 29.2 s", 5000, MANY, "in kind", "a shorter and steeper spike"),
    ),
    ("tiers/spike-three-policies", "policy=priority"): (
        Figure(_SPIKE, "p95 0.77 s", 300, 1000, "in kind", "a shorter and steeper spike"),
    ),
    ("tiers/spike-three-policies", "policy=shed"): (
        Figure(_SPIKE, "p95 0.66 s", 300, 1000, "in kind", "a shorter and steeper spike"),
    ),
    ("published/load-curve", ""): (
        Figure("ttft_p50 < 1s during load-2", "84 ms", 72, 96, "yes"),
        Figure("itl_p50 < 50ms during load-2", "10 ms", 8.5, 11.5, "yes"),
        Figure("itl_p95 < 50ms during load-2", "11 ms", 9.4, 12.6, "yes"),
        Figure("ttft_p50 < 1s during load-6", "118 ms", 101, 135, "yes"),
        Figure("ttft_p95 < 1s during load-6", "578 ms", 492, 664, "yes"),
        Figure("itl_p50 < 50ms during load-6", "14 ms", 12, 16, "yes"),
        Figure("itl_p95 < 50ms during load-6", "147 ms", 50, 124, "in kind", "15 s do not fill the batch as 300 s do"),
    ),
}
"""By experiment and variant. Bounds are in the unit of the objective: ms, stalls a minute, or a multiple."""


def run(file: str, out: Path, *options: str) -> Readings:
    """Run an included experiment, of a matrix all variants, in virtual time. Returns what each found."""
    path = FOLDER / f"{file}.yaml"
    done = warm.chaoskit("run", str(path), "--clock", "virtual", "--out", str(out), *options, limit=280)
    assert done.returncode in (0, 1, 5), done.stdout + done.stderr
    return {each.name: readings(out / each.name) for each in load_variants(path).each}


def readings(directory: Path) -> dict[str, Reading]:
    """Of each objective of a run."""
    told = json.loads((directory / "result.json").read_text())["objectives"]
    return {each["text"]: Reading(each["observed"]["value"], each["reason"].partition(";")[0]) for each in told}


def table(found: Callable[[str], Readings]) -> str:
    """Markdown: a row for each figure."""
    rows = ["| experiment | | value | phase | source | ours | agrees | |", "|---|---|---|---|---|---|---|---|"]
    for (file, variant), figures in FIGURES.items():
        for each in figures:
            ours = found(file)[variant][each.objective].reason
            cells = (
                *named(file, variant),
                each.objective.partition(" ")[0],
                phase_of(each.objective),
                each.source,
                ours,
            )
            rows.append(f"| {' | '.join(cells)} | {each.agrees} | {each.remark} |")
    return "\n".join(rows)


def named(file: str, variant: str) -> tuple[str, str]:
    """The first two cells of a row: a link to the experiment, and what its variant has."""
    return f"[{Path(file).name}](../experiments/{file}.yaml)", variant.partition("=")[2]


def phase_of(objective: str) -> str:
    """The phase, and the one that it is compared with: `lossy / even`; nothing for the whole run."""
    words = objective.split()
    if "during" not in words:
        return ""
    other = words[-1:] if words[-2][-1] == "x" and words[-2][0].isdigit() else []
    return " / ".join([words[words.index("during") + 1], *other])


def surface(points: Path) -> str:
    """Markdown: the share of time that a reader waits, by round trip and loss, of the CSV table of a sweep."""
    with points.open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "stall_ratio" and row["phase"] in LOSSES]
    lines = [f"| round trip | {' | '.join(LOSSES.values())} |", "|--:" * (1 + len(LOSSES)) + "|"]
    for delay in dict.fromkeys(row[DELAY] for row in rows):
        cells = [_cell(row) for phase in LOSSES for row in rows if (row[DELAY], row["phase"]) == (delay, phase)]
        lines.append(f"| {2 * int(delay.removesuffix('ms'))} ms | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, str]) -> str:
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    return f"{format_value(value, 'share')} ({format_interval(low, high, 'share')})"


def all_runs(place: Path) -> Callable[[str], Readings]:
    """Runs each experiment once, when it is first asked for."""

    @cache
    def found(file: str) -> Readings:
        return run(file, place / Path(file).name)

    return found

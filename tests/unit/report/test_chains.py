"""Chains of hops in a report: short, and each number with its unit."""

from __future__ import annotations

import io
from pathlib import Path

from made_runs import Made, plan
from made_spans import chain_run

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.chains.chain_results import Requests
from chaoskit.analysis.chains.ladder import ladder_result
from chaoskit.records.span_names import LADDER_SIGNAL, LADDER_STEP, LADDER_SWITCH
from chaoskit.records.spans import Span
from chaoskit.report.console import render
from chaoskit.report.screen import Screen
from chaoskit.report.stalls import other_rows
from chaoskit.tiers.ladder import LadderSettings, Step

EXPECTED = """\
Requests by workflow and class
                 requests  TTFT p95  chain p50     p95  fallback  degraded  queued
  baseline            100     86 ms     165 ms  165 ms       0 %       5 %    25 %
    of chat            50     36 ms     115 ms  115 ms         –       0 %     0 %
    of support         50     86 ms     165 ms  165 ms       0 %      10 %    50 %
    for batch          50     36 ms     115 ms  115 ms         –       0 %     0 %
    for premium        50     86 ms     165 ms  165 ms       0 %      10 %    50 %
  wifi                100    166 ms     115 ms  245 ms      20 %       5 %    25 %
    of chat            50     36 ms     115 ms  115 ms         –       0 %     0 %
    of support         50    166 ms     245 ms  245 ms      20 %      10 %    50 %
    for batch          50     36 ms     115 ms  115 ms         –       0 %     0 %
    for premium        50    166 ms     245 ms  245 ms      20 %      10 %    50 %
"""


def shown(tmp_path: Path, made: Made, width: int = 100) -> str:
    """What a terminal of this width shows of the run."""
    stream = io.StringIO()
    render(analyse(made.write(tmp_path / "run")), Screen(stream, width))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def test_a_row_for_each_workflow_and_class(tmp_path: Path) -> None:
    """Only columns that tell something."""
    assert EXPECTED in shown(tmp_path, chain_run())


def test_hops_and_what_was_waited_for(tmp_path: Path) -> None:
    """The slow link with its size, the outcomes of retrieval, and why first tokens were late."""
    text = shown(tmp_path, chain_run())

    for told in (
        "            policy guard  retrieval vectors   model\n",
        "  wifi             10 ms             130 ms  104 ms\n",
        "  wifi  retrieval vectors: 50 calls, 10 timeout\n",
        "  wifi      38 hit, 2 miss, 10 timeout; answered instead: 10 by no-context\n",
        "network gateway–vectors 34.3 % (+82 ms)",
        "  wifi  40 later than 86 ms: 40 network gateway–vectors (+82 ms)\n",
    ):
        assert told in text


def test_a_late_first_token_has_one_explanation(tmp_path: Path) -> None:
    """Where hops name its place, the client's connection says nothing of it; without spans it does."""
    whole = analyse(chain_run().write(tmp_path / "run"))
    late = {"between": 82.0}
    phases = [phase.model_copy(update={"first_token_causes": late, "late_first_tokens": 40}) for phase in whole.phases]
    hops = whole.model_copy(update={"phases": tuple(phases)})
    none = hops.model_copy(update={"phases": tuple(phase.model_copy(update={"tiers": None}) for phase in phases)})
    rows, without_spans = [{name.plain: text.plain for name, text in other_rows(each)} for each in (hops, none)]
    assert "wifi" not in rows
    assert "40 late first tokens" in without_spans["wifi"]


def test_eighty_columns_are_enough(tmp_path: Path) -> None:
    """No line is wider, and no number is cut."""
    text = shown(tmp_path, chain_run(), 80)

    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text[text.index("Requests by workflow") : text.index("Median TTFT")]


def test_a_run_without_tiers_has_no_such_section(tmp_path: Path) -> None:
    """Neither a table nor a dash."""
    text = shown(tmp_path, Made(plan()).phases().many(0, 29_000, 100))

    assert "workflow" not in text
    assert "Spans" not in text


def test_a_ladder_and_who_went_first_are_told(tmp_path: Path) -> None:
    """Each step with its sentence; priority inversions by class."""
    made = chain_run()
    found = analyse(made.write(tmp_path / "run"))
    settings = LadderSettings((Step("breadth", 0.6, 0.3, breadth=0.4),))
    moments: tuple[tuple[int, dict[str, str | int | bool]], ...] = (
        (1, {LADDER_STEP: "breadth", LADDER_SWITCH: "entered", LADDER_SIGNAL: "0.7"}),
        (9, {LADDER_STEP: "breadth", LADDER_SWITCH: "released", LADDER_SIGNAL: "0.1"}),
    )
    switches = [
        Span(
            f"{at}" * 32, f"{at}" * 16, None, "gateway", "degradation", "other", at * 10**9, at * 10**9, attributes=told
        )
        for at, told in moments
    ]
    phases = [
        phase.model_copy(update={"tiers": tiers.model_copy(update={"rows": tuple(map(_inverted, tiers.rows))})})
        for phase in found.phases
        if (tiers := phase.tiers) is not None
    ]
    ladders = (ladder_result("gateway", settings, [], switches),)
    stream = io.StringIO()

    render(found.model_copy(update={"ladders": ladders, "phases": tuple(phases)}), Screen(stream, 100))

    text = stream.getvalue()
    assert "Ladder of gateway, 2 changes\n  breadth  was in force once, 8.0 s in all, first at saturation 0.7" in text
    assert "Went before somebody more important\n  baseline  3 of batch\n" in text


def _inverted(row: Requests) -> Requests:
    return row.model_copy(update={"inversions": 3}) if row.traffic_class == "batch" else row

"""The variants of a matrix on a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import Made, plan

from chaoskit.analysis.matrix import MatrixResult, VariantResult, load_matrix
from chaoskit.report.matrix import render, variant_line
from chaoskit.report.screen import Screen
from chaoskit.terminal import SafeStream

FILE = """\
name: sizes
question: Which sizes?
stage: {lab: edge}
workload: {request-rate: 10/s}
timeline: [{baseline: 10s}]
matrix: {workload.prompt-size: [200B, 4kB, 64kB]%s}
"""
SLOW = {"200B": 110.0, "4kB": 180.0, "64kB": 900.0}
MANY: dict[str, Any] = {
    "timeline": "[{baseline: 10s}, {wifi: 10s}, {a: 10s}, {b: 10s}, {c: 10s}, {d: 10s}, {recovery: 10s}]",
    "more": ["a", "b", "c", "d"],
}


def variant(size: str, **more: object) -> Made:
    """A run in which wifi is the slower, the longer the prompt; the longest one hangs there at the end."""
    options = {"objectives": ["ttft_p50 during wifi < 2x baseline"]} | more
    made = Made(plan(**options)).phases()  # type: ignore[arg-type]
    made.many(0, 9500, 100).many(10_000, 18_000, 100, ttft=SLOW[size]).many(20_500, 29_500, 100)
    for at in range(10_000, 19_000, 25) if size == "64kB" else ():
        made.stream(at, [], "first_token_timeout", ended=19_500)
    return made.vitals(30_000)


def folder(tmp_path: Path, axis: str = "", **options: object) -> Path:
    """The matrix of the three sizes, and of a second axis if there is one."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "experiment.yaml").write_text(FILE % axis)
    (run / "outcome.json").write_text(json.dumps({"how": "finished", "detail": ""}))
    for row in load_matrix(run).variants:
        variant(row.values[0], **options).write(run / row.name)
    return run


def shown(found: MatrixResult, width: int = 100, encoding: str = "utf-8") -> list[str]:
    """The lines on a screen so wide."""
    raw = io.BytesIO()
    file = SafeStream(raw, encoding, newline="\n")
    render(found, Screen(file, width))
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


def below(lines: list[str], title: str) -> list[list[str]]:
    """The rows under a title, as words."""
    begin = lines.index(title) + 1
    return [line.split() for line in lines[begin : lines.index("", begin)]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> MatrixResult:
    """The results of three sizes."""
    return load_matrix(folder(tmp_path_factory.mktemp("sizes")))


def test_each_variant_is_a_row_and_each_phase_a_column(found: MatrixResult) -> None:
    """Each phase has its change against the same variant's baseline beside it; of a time that nobody
    waited for a bound stands there; the curve is below."""
    lines = shown(found)

    assert below(lines, "TTFT p50") == [
        ["prompt-size", "baseline", "wifi", "change", "recovery", "change"],
        ["200B", "100", "ms", "110", "ms", "1.1×", "100", "ms", "≈1×"],
        ["4kB", "100", "ms", "180", "ms", "1.8×", "100", "ms", "≈1×"],
        ["64kB", "100", "ms", ">", "4", "s", "∞", "100", "ms", "≈1×"],
        ["curve", "▁▁▁", "▂▇!", "▁▁▁"],
    ]


def test_the_headline_numbers_each_have_a_table(found: MatrixResult) -> None:
    """A metric that is the same everywhere is a line, and one that is 0 in both phases has no change."""
    lines = shown(found)

    assert below(lines, "TTFT p95")[0] == ["prompt-size", "baseline", "wifi", "change", "recovery", "change"]
    assert below(lines, "Interrupted streams")[1] == ["200B", "0", "%", "0", "%", "0", "%"]
    assert below(lines, "Interrupted streams")[0] == ["prompt-size", "baseline", "wifi", "change", "recovery"]
    assert below(lines, "Interrupted streams")[3][:5] == ["64kB", "0", "%", "81.8", "%"]
    assert "Stalls  0/min everywhere" in lines
    assert "stalls: gaps > 200 ms" in lines


def test_each_verdict_and_then_the_verdict_of_all(found: MatrixResult) -> None:
    """The last line counts the verdicts, the worst first, and says what happened."""
    lines = shown(found)

    verdicts = [words[:2] for words in below(lines, "Verdicts")[1:]]
    assert verdicts == [["200B", "MET"], ["4kB", "MET"], ["64kB", "BROKEN"]]
    last = lines.index(f"records  {found.run}") + 1
    assert lines[last].startswith("BROKEN   of 3 variants 1 broken, 2 met: ")


def test_a_second_axis_is_a_second_column_and_no_curve(tmp_path: Path) -> None:
    """Every value is in its row."""
    lines = shown(load_matrix(folder(tmp_path, ", seed: [1, 2]")))

    rows = below(lines, "TTFT p50")
    assert [words[:2] for words in rows] == [
        ["prompt-size", "seed"],
        *([size, seed] for size in SLOW for seed in ("1", "2")),
    ]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_it_fits_the_screen(tmp_path: Path, width: int) -> None:
    """What is too wide loses its changes, then goes into tables below; no line is too long, no number is cut."""
    lines = shown(load_matrix(folder(tmp_path, **MANY)), width)

    heads = [line.split()[1:] for line in lines if line.startswith("  prompt-size") and "verdict" not in line]
    assert all(len(line) <= width for line in lines)
    assert [name for head in heads[: 1 if width > 60 else 2] for name in head if name != "change"] == [
        "baseline",
        "wifi",
        "a",
        "b",
        "c",
        "d",
        "recovery",
    ]
    assert not any("…" in line for line in lines)
    has_changes = all("change" in head for head in heads)
    assert ("  not shown: the changes, for want of columns" in lines) == (not has_changes)


def test_with_a_single_phase_the_metrics_are_the_columns(tmp_path: Path) -> None:
    """There is no phase to compare with."""
    lines = shown(load_matrix(folder(tmp_path, timeline="[{wifi: 30s}]", objectives=[])))

    head, first, *_ = below(lines, "wifi")
    assert " ".join(head) == "prompt-size TTFT p50 TTFT p95 Interrupted streams Stalls"
    assert first == ["200B", "100", "ms", "110", "ms", "0", "%", "0/min"]
    assert [" ".join(words) for words in below(lines, "Verdicts")[1:]] == [
        "200B MEASURED no objectives are set",
        "4kB MEASURED no objectives are set",
        "64kB MEASURED no objectives are set; 360 of 625 streams interrupted",
    ]


def test_few_values_are_marked(tmp_path: Path) -> None:
    """A percentile that is the maximum is marked, as in the report of one run."""
    run = folder(tmp_path)
    few = Made(plan()).phases().many(0, 29_000, 2_000)
    for file in (run / "prompt-size=4kB").iterdir():
        file.unlink()
    few.write(run / "prompt-size=4kB")

    lines = shown(load_matrix(run))

    assert "100 ms*" in lines[lines.index("TTFT p95") + 3]
    assert "* the maximum: too few values for this percentile" in lines


def test_variants_that_were_not_run_are_shown(tmp_path: Path) -> None:
    """An interrupted matrix shows its results, and its last line says that it was interrupted."""
    run = folder(tmp_path)
    (run / "prompt-size=64kB").rename(tmp_path / "elsewhere")
    (run / "prompt-size=4kB" / "plan.json").write_text("{}")
    (run / "outcome.json").write_text(json.dumps({"how": "interrupted", "detail": "SIGINT"}))

    lines = shown(load_matrix(run))

    assert below(lines, "TTFT p50")[2:4] == [["4kB"], ["64kB"]]
    assert ["64kB", "NOT", "RUN"] in [words[:3] for words in below(lines, "Verdicts")]
    assert any(line.startswith("  4kB          UNREADABLE  ") for line in lines)
    assert any(
        line.startswith("INTERRUPTED  of 3 variants 1 unreadable, 1 not run, 1 met (SIGINT): ") for line in lines
    )


def test_it_can_be_shown_without_unicode(found: MatrixResult) -> None:
    """In ASCII nothing is missing."""
    lines = shown(found, encoding="ascii")

    assert ["4kB", "100", "ms", "180", "ms", "1.8x", "100", "ms", "~1x"] in below(lines, "TTFT p50")


def test_a_variant_that_has_ended_is_one_line(found: MatrixResult) -> None:
    """Its number of all, its name, its verdict, and why."""
    told = variant_line(found.variants[2], 3, 12).plain

    assert told.startswith(" 3/12  prompt-size=64kB  BROKEN  ")
    assert "ttft_p50 during wifi < 2x baseline: ∞" in told
    assert (
        variant_line(VariantResult(name="x=1", values=("1",), result=None, is_not_run=True), 1, 2).plain
        == "1/2  x=1  NOT RUN  "
    )


def test_a_long_reason_that_variants_share_stands_once(tmp_path: Path) -> None:
    """Undecided for the same reason with different verdict words around them: the second says as above."""
    run = folder(tmp_path, objectives=["connect_p95 < 800ms during wifi", "ttft_max < 1us"])
    found = load_matrix(run)
    long = "a reason that is long enough to be read only once, and not in every row"
    rows = [
        each.model_copy(
            update={"result": each.result.model_copy(update={"outcome": each.result.outcome.model_copy(update=told)})}
        )
        for each, told in zip(
            found.variants,
            ({"verdict": "undecided", "reason": long}, {"verdict": "undecided", "reason": long}, {"verdict": "none"}),
            strict=True,
        )
        if each.result is not None
    ]

    lines = shown(found.model_copy(update={"variants": tuple(rows)}), 120)

    assert sum(long in line for line in lines) == 1
    assert sum("as above" in line for line in lines) == 1

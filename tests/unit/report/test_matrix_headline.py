"""The headline of a matrix: what happened over all its variants."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from made_runs import Made

from chaoskit.analysis.matrix import load_matrix
from chaoskit.planning.compile import compile_plan
from chaoskit.report.headline import headline, word
from chaoskit.report.matrix import render
from chaoskit.report.result_json import as_json
from chaoskit.report.screen import Screen
from chaoskit.spec.matrix import parse_variants

TEXT = """\
name: sizes
question: Do the sizes matter?
stage: {lab: edge}
workload: {request-rate: 10/s, output-tokens: 5}
faults: {wifi: {link: client-router, direction: down, netem: {delay: 30ms}}}
timeline: [{baseline: 10s}, {wifi: 10s}]
objectives: OBJECTIVES
matrix: {workload.prompt-size: [200B, 4kB], faults.wifi.netem.delay: [30ms, 60ms]}
"""
Make = Callable[[Made, Mapping[str, str]], object]


def quick(made: Made, begin: float, ttft: float = 100) -> None:
    """A hundred complete streams."""
    made.many(begin, begin + 9900, 100, ttft=ttft)


def dying(made: Made, begin: float) -> None:
    """A hundred streams that are cut off before their first token."""
    for number in range(100):
        made.stream(begin + 100 * number, (), "reset", ended=begin + 100 * number + 500)


def matrix(folder: Path, wifi: Make, objectives: str = "[]") -> Path:
    """Four variants whose phase `wifi` is made by that."""
    text = TEXT.replace("OBJECTIVES", objectives)
    folder.mkdir()
    (folder / "experiment.yaml").write_text(text)
    (folder / "outcome.json").write_text('{"how": "finished", "detail": ""}')
    read = parse_variants(text, "made.yaml")
    for variant in read.each:
        made = Made(compile_plan(variant.experiment)).phases()
        quick(made, 0)
        wifi(made, dict(zip(read.axes, variant.values, strict=True)))
        made.write(folder / variant.name)
    return folder


def test_the_same_in_all_variants(tmp_path: Path) -> None:
    """What the fault did in the phase, instead of what; the word alone says nothing of it."""
    found = load_matrix(matrix(tmp_path / "run", lambda made, _: dying(made, 10_000)))

    assert word(found) == "MEASURED"
    assert headline(found).startswith(
        "all 4 variants measured: interrupted streams 0 % → 100 % under wifi in all 4 variants; "
    )
    assert "of the interruptions is" in headline(found)


def test_what_differs_between_variants(tmp_path: Path) -> None:
    """The values of an axis that have it, and that nothing happened with the others."""

    def wifi(made: Made, values: Mapping[str, str]) -> None:
        dying(made, 10_000) if values["prompt-size"] == "4kB" else quick(made, 10_000)

    found = load_matrix(matrix(tmp_path / "run", wifi))

    assert "0 % → 100 % under wifi with prompt-size 4kB; " in headline(found)
    assert headline(found).endswith("; nothing worse beyond chance with prompt-size 200B.")


def test_by_how_much_an_objective_is_broken(tmp_path: Path) -> None:
    """The least and the most, each with its variant, and what it was without the fault."""

    def wifi(made: Made, values: Mapping[str, str]) -> None:
        quick(made, 10_000, ttft=300 if values["delay"] == "30ms" else 800)

    found = load_matrix(matrix(tmp_path / "run", wifi, "[ttft_p50 < 200ms during wifi]"))

    assert word(found) == "BROKEN"
    assert headline(found).startswith(
        "all 4 variants broken: ttft_p50 < 200ms during wifi is broken in all 4 variants: "
        "300 ms (prompt-size=200B,delay=30ms) to 800 ms (prompt-size=4kB,delay=60ms), and 100 ms in baseline"
    )


def test_nothing_beyond_chance(tmp_path: Path) -> None:
    """It says so."""
    found = load_matrix(matrix(tmp_path / "run", lambda made, _: quick(made, 10_000), "[ttft_p50 < 1s]"))

    assert headline(found) == "all 4 variants met: nothing worse beyond chance in all 4 variants."


def test_the_terminal_ends_with_it(tmp_path: Path) -> None:
    """The last line is the sentence, not only a count."""
    found = load_matrix(matrix(tmp_path / "run", lambda made, _: dying(made, 10_000)))
    shown = io.StringIO()

    render(found, Screen(shown, 400))

    assert shown.getvalue().splitlines()[-1] == f"MEASURED  {headline(found)}"


def test_a_program_reads_it(tmp_path: Path) -> None:
    """The JSON of a matrix has the sentence, and that of each variant."""
    found = load_matrix(matrix(tmp_path / "run", lambda made, _: dying(made, 10_000)))

    told = json.loads(as_json(found))

    assert told["headline"] == headline(found)
    first = found.variants[0].result
    assert first is not None
    assert told["variants"][0]["result"]["headline"] == headline(first)

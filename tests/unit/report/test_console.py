"""A result on a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from made_runs import Made, ns, plan
from rich.console import Console

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import Evidence, PathMtu
from chaoskit.analysis.result import FidelityCheck, FidelityKind, Result, Unit
from chaoskit.records.model import Event, SocketRead
from chaoskit.report.console import render
from chaoskit.report.screen import Screen
from chaoskit.terminal import SafeStream

OBJECTIVES = [
    "ttft_p95 < 150ms during wifi",
    "interruption_rate <= 0.5%",
    "ttft_p95 during wifi < 3x baseline",
]
MANY = {
    "timeline": "[{baseline: 10s}, {wifi: 10s}, {a: 2s}, {b: 2s}, {c: 2s}, {recovery: 4s}]",
    "more": ["a", "b", "c"],
}


def made(**options: object) -> Made:
    """A run with a slow wifi, a stall, and streams that were interrupted there."""
    run = Made(plan(OBJECTIVES, **options)).phases(settling=2)  # type: ignore[arg-type]
    run.many(0, 9500, 50).many(10_000, 19_500, 50, ttft=180, pace=30).many(20_500, 29_500, 50)
    run.stream(15_000, [15_180, 15_500], "reset", ended=16_000, detail="Connection reset by peer")
    run.counters("wifi", 8990, 1010, 10_000, 20_000).vitals(30_000)
    return run.handshakes(1000, [1] * 9).handshakes(11_000, [31] * 9)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Its result."""
    return analyse(made().write(tmp_path_factory.mktemp("made") / "run"))


@pytest.fixture(scope="module")
def result_of_many(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """That of a run with many phases."""
    return analyse(made(**MANY).write(tmp_path_factory.mktemp("many") / "run"))


def shown(result: Result, width: int = 80, encoding: str = "utf-8") -> list[str]:
    """The lines on a screen of this width."""
    raw = io.BytesIO()
    file = SafeStream(raw, encoding, newline="\n")
    render(result, Screen(file, width))
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


def row(lines: list[str], label: str) -> list[str]:
    """The words of the first line that starts with the label, without it."""
    return next(line for line in lines if line.startswith(label)).removeprefix(label).split()


def test_path_mtu_findings_have_a_sentence_and_a_caveat(result: Result) -> None:
    """The sentence stands beside the phase's name, and below it what limits the confidence."""
    found = PathMtu(
        kind="black-hole",
        direction="up",
        streams=5,
        of_streams=6,
        segment=1448,
        path_mtu=1500,
        confidence="likely",
        reason="a doubt",
        evidence=Evidence(file="tcp_info.jsonl", count=10),
        sentence="up: black hole for full segments",
    )
    phases = [phase.model_copy(update={"path_mtu": (found,) * (phase.name == "wifi")}) for phase in result.phases]

    lines = shown(result.model_copy(update={"phases": tuple(phases)}))
    start = lines.index("Path MTU")

    assert lines[start + 1 : start + 4] == ["  wifi  up: black hole for full segments", "        likely: a doubt", ""]
    assert "Path MTU" not in shown(result)


def test_size_checks_are_below_their_settings(result: Result) -> None:
    """Each check is below the settings of its place, those without a place at the end of the phase."""

    def seen(what: FidelityKind, place: str, unit: Unit, hit: float | None, of: int, **more: Any) -> FidelityCheck:
        told: dict[str, Any] = {"requested": None, "tolerance": 0, "verdict": "achieved", "remark": ""}
        evidence = Evidence(file="hops.jsonl", count=1)
        return FidelityCheck(
            phase="wifi", kind=what, where=place, unit=unit, measured=hit, samples=of, evidence=evidence, **told | more
        )

    asked = ("a up: delay 1ms", "a up: longer than 1400: lost", "b: lost", "c: mss at most 1340")
    phases = [phase.model_copy(update={"settings": asked * (phase.name == "wifi")}) for phase in result.phases]
    fidelity = (
        seen("oversized", "a up", "count", 0, 40, verdict="not-exercised", remark="none was"),
        seen("oversized", "the router", "count", 9, 3009),
        seen("icmp-lost", "b", "count", 9, 9),
        seen("icmp-sent", "the router", "count", None, 0, verdict="too-few-packets"),
        seen("mss", "c", "bytes", 1340, 12, requested=1340),
    )
    lines = shown(result.model_copy(update={"phases": tuple(phases), "fidelity": fidelity}))
    start = lines.index("Faults, requested and measured")

    assert [line.strip() for line in lines[start + 1 : start + 10]] == [
        "wifi  a up: delay 1ms",
        "a up: longer than 1400: lost",
        "oversized     0 of 40 packets: not exercised (none was)",
        "b: lost",
        "ICMP lost     9 of 9 ICMP errors: achieved",
        "c: mss at most 1340",
        "MSS           requested at most 1340 bytes, measured 1340 bytes on 12",
        "connections: achieved",
        "oversized     9 of 3009 packets: achieved",
    ]
    assert lines[start + 10].split() == ["ICMP", "sent", "not", "measured:", "too", "few", "packets"]


def test_the_reference_is_beside_the_other_phases(result: Result) -> None:
    """One table: the baseline, then each phase with its value, its difference and its ratio."""
    lines = shown(result)

    assert " ".join(next(line for line in lines if "baseline" in line).split()) == (
        "baseline wifi difference ratio recovery difference ratio"
    )
    assert row(lines, "TTFT p50") == [
        "100",
        "ms",
        "180",
        "ms",
        "+80",
        "ms",
        "1.8×",
        "100",
        "ms",
        "≈0",
        "ms",
        "≈1×",
    ]
    assert row(lines, "ITL p50")[:6] == ["20", "ms", "30", "ms", "+10", "ms"]
    assert row(lines, "streams") == ["190", "191", "180"]


def test_changes_that_may_be_chance_and_maxima_are_marked(result: Result) -> None:
    """One interrupted stream in 191 may be chance; a p99 of fewer than 100 values is a maximum."""
    lines = shown(result)

    assert "≈+0.52 pp" in " ".join(row(lines, "interrupted"))
    assert any("could be chance" in line for line in lines)
    assert not any(line.startswith("* the maximum") for line in lines)


def test_the_last_line_is_the_verdict(result: Result) -> None:
    """The verdict stands above the next prompt, the run directory just before it."""
    lines = shown(result, 100)

    assert lines[-1] == "BROKEN   1 of 3 objectives, ttft_p95 < 150ms during wifi: 180 ms"
    assert lines[-2].startswith("records") or lines[-3].startswith("records")


def test_every_objective_has_its_numbers(result: Result) -> None:
    """Verdict, value, interval, number of streams, and the worst streams."""
    text = " ".join(" ".join(shown(result)).split())

    assert "BROKEN ttft_p95 < 150ms during wifi 180 ms over 191 streams" in text
    assert "UNDECIDED interruption_rate <= 0.5%" in text
    assert "streams would decide" in text
    assert "MET ttft_p95 during wifi < 3x baseline 1.8× over 190 streams" in text
    assert "worst: stream 560 in requests.jsonl" in text


def test_a_file_that_was_not_kept_is_not_named(result: Result) -> None:
    """A probe without --out has no file in which its worst stream could be looked up."""
    text = " ".join(" ".join(shown(result.model_copy(update={"run": ""}))).split())

    assert "worst: stream 560" in text
    assert "requests.jsonl" not in text


def test_failures_stalls_and_faults_are_shown(result: Result) -> None:
    """Interrupted streams with their reasons, stalls with their causes, faults as requested and as measured."""
    text = " ".join(" ".join(shown(result)).split())

    assert "1 reset: Connection reset by peer (stream 560)" in text
    assert "wifi 2 stalls; 420 ms beyond 200 ms: unknown 100 %" in text
    assert "client-router down: delay 30ms loss 10%" in text
    assert "loss requested 10 %, measured 10.1 % of 10000 packets: achieved" in text
    assert "round trip requested +30 ms, measured +30 ms of 9 handshakes: achieved" in text


def test_the_sparkline_marks_interruptions(result: Result) -> None:
    """A character for each half second of a phase, higher where it was slower, and a cross at an interruption."""
    lines = shown(result)
    at = next(number for number, line in enumerate(lines) if line.startswith("Median TTFT over time"))
    first = next(number for number, line in enumerate(lines) if number > at and line.startswith("  baseline"))
    baseline, wifi, dead = (line[12:] for line in lines[first : first + 3])

    assert "100 ms ▁ to 180 ms ▇" in lines[at]
    assert set(baseline) == {"▁"}
    assert len(wifi) == 19  # the last half second is blank: nobody asked
    assert min(wifi) > max(baseline)
    assert dead.index("×") == 12


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("of", ["result", "result_of_many"])
def test_no_line_is_too_long_and_no_number_is_split(request: pytest.FixtureRequest, width: int, of: str) -> None:
    """At every width each line fits; from 40 columns on the table's numbers are whole in their rows."""
    lines = shown(request.getfixturevalue(of), width)

    assert max(map(len, lines)) <= width
    assert not any(line.strip() and not set(line.strip()) - set("▁▂▃▄▅▆▇█") for line in lines)
    if width >= 40:
        assert row(lines, "TTFT p50")[:2] == ["100", "ms"]
        assert not any("…" in line for line in lines if line.startswith(("TTFT p", "ITL p", "stalls ")))


def test_a_maximum_is_marked(tmp_path: Path) -> None:
    """Where a percentile has too few values the maximum has an asterisk, and the asterisk is explained."""
    lines = shown(analyse(Made().phases().many(0, 2400, 50).write(tmp_path / "run")))

    assert row(lines, "TTFT p95")[:2] == ["100", "ms"]
    assert row(lines, "TTFT p99")[:2] == ["100", "ms*"]
    assert any(line.startswith("* the maximum") for line in lines)


def test_colour_says_worse_or_better(tmp_path: Path) -> None:
    """Red is worse and green is better, for goodput the other way round; a change that may be chance has no colour."""
    run = Made().phases().many(0, 9500, 50).many(10_000, 14_500, 50, ttft=40).many(20_500, 29_500, 50)
    file = io.StringIO()
    render(
        analyse(run.write(tmp_path / "run")),
        Console(file=file, width=80, force_terminal=True, color_system="standard"),
    )

    shown_lines = reversed(file.getvalue().splitlines())
    lines = {label: line for line in shown_lines for label in ("TTFT p50", "goodput") if label in line}
    assert "\x1b[32m" in lines["TTFT p50"]
    assert "\x1b[31m" in lines["goodput"]
    assert "\x1b[31m" not in lines["TTFT p50"]
    assert "\x1b[32m" not in lines["goodput"]


def test_many_phases_are_many_tables(tmp_path: Path) -> None:
    """More than three phases beside the reference have a table each, with intervals where the screen is wide enough."""
    result = analyse(made(**MANY).write(tmp_path / "run"))

    heads = [line.split() for line in shown(result, 300) if line.strip().startswith("baseline ") and "ratio" in line]

    assert [head[1] for head in heads] == ["wifi", "a", "b", "c", "recovery"]
    assert any("(" in line for line in shown(result, 100) if line.startswith("stalls"))


def test_a_probe_shows_its_percentiles(tmp_path: Path) -> None:
    """A run with one phase has no comparison: percentiles side by side, and the counts."""
    run = Made(plan=None, outcome=None).many(0, 10_000, 100)

    lines = shown(analyse(run.write(tmp_path / "run")))

    assert row(lines, "run") == ["p50", "p90", "p95", "p99", "max", "mean"]
    assert row(lines, "TTFT") == ["100", "ms"] * 6
    assert any("100 streams, 100 complete, 0 interrupted" in line for line in lines)
    assert lines[-1].startswith("MEASURED  no objectives are set")


def test_text_of_a_server_is_escaped(tmp_path: Path) -> None:
    """Markup, escapes, control and direction characters in a server's text are harmless."""
    evil = "[bold red]x[/] \x1b[2J\x1b]0;title\x07 \r\n \u202eabc \x9b31m \x00"
    run = made()
    run.stream(16_000, [], "error_event", ended=16_100, detail=evil)

    text = "\n".join(shown(analyse(run.write(tmp_path / "run"))))

    assert "[bold red]x[/]" in text
    assert not set(text) & set("\x1b\x07\r\x00\x9b\u202e")


def test_a_terminal_without_unicode_gets_ascii(result: Result) -> None:
    """In ASCII nothing is missing."""
    lines = shown(result, encoding="ascii")

    assert row(lines, "TTFT p50") == [
        "100",
        "ms",
        "180",
        "ms",
        "+80",
        "ms",
        "1.8x",
        "100",
        "ms",
        "~0",
        "ms",
        "~1x",
    ]
    assert not any("?" in line for line in lines[3:])


def test_an_interrupted_run_says_so_first(tmp_path: Path) -> None:
    """The status stands before the verdict, with the reason."""
    run = made()
    run.outcome = {"how": "dirty", "detail": "not put back: qdisc to-client"}

    lines = shown(analyse(run.write(tmp_path / "run")), 200)

    assert lines[-1].startswith("DIRTY")
    assert "not put back: qdisc to-client" in lines[-1]


def test_an_empty_run_is_shown(tmp_path: Path) -> None:
    """A run that was refused before its first phase has no table, and no traceback."""
    run = Made(plan(OBJECTIVES), outcome={"how": "refused", "detail": "netem is not in this kernel"})

    lines = shown(analyse(run.write(tmp_path / "run")), 200)

    assert lines[-1].startswith("REFUSED")
    assert "netem is not in this kernel" in lines[-1]


def test_a_long_name_stands_above_its_text(tmp_path: Path) -> None:
    """It squeezes no number into two lines: at 80 columns each check of its fault has one line."""
    name = "a-black-hole-mid-stream-in-both-directions"
    run = Made(plan(timeline=f"[{{baseline: 10s}}, {{{name}: 10s}}]", more=[name])).phases()

    lines = shown(analyse(run.many(0, 9500, 50).many(10_000, 19_500, 50).write(tmp_path / "run")))

    at = lines.index("Faults, requested and measured")
    assert lines[at + 1 : at + 4] == [
        f"  {name}",
        "    client-router up: delay 1ms",
        "    loss          requested 0 %: too few packets (no counters were recorded)",
    ]
    assert lines[lines.index(f"  {name}") + 1].strip("▁ ") == ""


def test_the_numbers_of_streams_are_explained_where_they_differ(result: Result) -> None:
    """A stream of the baseline that stalls in wifi counts there; where all agree nothing is said."""
    (first, *_) = result.objectives
    alike = first.model_copy(update={"streams_started": first.streams})
    other = first.model_copy(update={"streams_started": first.streams - 8})

    explained = [
        line for line in shown(result.model_copy(update={"objectives": (other,)})) if "an objective counts" in line
    ]
    assert len(explained) == 1
    assert not any("an objective counts" in line for line in shown(result.model_copy(update={"objectives": (alike,)})))


def test_what_makes_rates_differ_beside_the_faults_is_said_below_them(result: Result) -> None:
    """The arrivals of the phases, and that the first one began empty, where it is no warm-up."""
    text = " ".join(" ".join(shown(result)).split())

    assert (
        "goodput and tokens/s follow the arrivals of a phase, too: streams began at 18–19.1/s in these; baseline began "
        "with none open, which a warm-up before it avoids" in text
    )


def test_a_phase_in_which_nothing_moved_has_no_stalls(tmp_path: Path) -> None:
    """Its few gaps are of earlier streams, and `0/min` would be praise: an objective for it is undecided."""
    run = Made(plan(["stalls_per_minute < 5 during wifi"])).phases(settling=200)
    run.many(0, 9990, 20)
    for at in range(10_200, 20_000, 100):
        run.stream(at, (), "first_token_timeout", ended=at + 8000)

    result = analyse(run.write(tmp_path / "run"))

    lines = shown(result)
    wifi = result.phase("wifi")
    assert wifi.metrics.gaps > 0
    assert wifi.metrics.stalls_per_minute.value is None
    assert any(line.split()[:3] == ["stalls", "0/min", "–"] for line in lines)
    assert "in wifi 98 of 103 streams never had a token: ITL, stalls and waiting are of the" in lines
    (verdict,) = result.objectives
    assert (verdict.verdict, verdict.reason) == ("undecided", "no stream that began here received a token")


def test_tokens_that_came_together_are_told(tmp_path: Path) -> None:
    """After a pause they come in one read, and an ITL of 0 would be praise."""
    run = Made(plan(timeline="[{baseline: 10s}, {wifi: 20s}]")).phases().many(0, 9000, 100)
    for at in (12_000, 14_000):
        number = run.stream(at, [at + 100], ended=at + 6100)
        events = tuple(Event("content") for _ in range(30))
        run.records.append(SocketRead(number, 1, ns(at + 6100), ns(at + 6100), ns(at + 6100), 3000, events))

    text = " ".join(shown(analyse(run.write(tmp_path / "run"))))

    assert "in wifi 96.7 % of the gaps are of tokens that came together: ITL p50 of the others 6 s" in text


def test_interruptions_after_a_phase_are_marked_where_their_streams_fell_silent(tmp_path: Path) -> None:
    """Not all in the last mark of the timeline, where nothing happened."""
    run = Made(plan(timeline="[{baseline: 10s}, {wifi: 20s}]")).phases()
    run.many(0, 9900, 100)
    for at in (12_000, 16_000, 21_000, 26_000):
        run.stream(at, [at + 100, at + 120], "idle_timeout", ended=at + 30_000)

    wifi = analyse(run.write(tmp_path / "run")).phase("wifi")

    marked = [bucket.at_s for bucket in wifi.timeline if bucket.interrupted]
    assert marked == [2.0, 6.0, 11.0, 16.0]


def test_what_a_narrow_screen_leaves_out_is_said(result: Result) -> None:
    """And how many columns it takes; a screen of so many shows it, and says nothing."""
    narrow = " ".join(" ".join(shown(result, 80)).split())
    columns = re.search(r"not shown: the 95 % intervals of the changes, which take (\d+) columns", narrow)
    assert columns is not None

    assert not any("not shown" in line for line in shown(result, int(columns[1])))
    assert any("not shown" in line for line in shown(result, int(columns[1]) - 1))
    assert "not shown: the changes, and their 95 % intervals" in " ".join(shown(result, 30))


def test_a_time_that_was_never_reached_is_no_maximum_of_few_values(tmp_path: Path) -> None:
    """`never*` would say that with more values it could be less."""
    run = Made(plan()).phases()
    run.many(0, 9000, 500)
    for at in range(10_500, 20_000, 1000):
        run.stream(at, (), "first_token_timeout", ended=at + 3000)

    text = "\n".join(shown(analyse(run.write(tmp_path / "run"))))

    assert "100 ms*" in text
    assert "* the maximum" in text
    assert "never*" not in text


@pytest.mark.parametrize("width", range(60, 100))
def test_no_number_of_a_summary_is_parted_from_its_unit(width: int, tmp_path: Path) -> None:
    """The lines are filled by whole parts."""
    run = Made(plan=None)
    for at in range(0, 2000, 150):
        run.stream(at, [at + 100, at + 120, at + 1120, at + 1140])
    lines = shown(analyse(run.write(tmp_path / "run")), width)

    summary = " ".join(lines).partition("interrupted ")[2]
    assert all(line.split()[0] not in ("%", "ms", "s") for line in lines if line.strip())
    assert re.search(r"waiting at 20 tokens/s [0-9.]+ %", summary)


@pytest.mark.parametrize("width", range(30, 90, 4))
def test_a_narrow_table_of_percentiles_has_fewer_columns_and_whole_numbers(width: int, tmp_path: Path) -> None:
    """What is left out is said; a number is never cut."""
    run = Made(plan=None)
    for at in range(0, 2000, 150):
        run.stream(at, [at + 100.25, at + 120, at + 1120, at + 1140])
    lines = shown(analyse(run.write(tmp_path / "run")), width)

    head = next(line.split() for line in lines if line.startswith("run "))
    for label in ("TTFT", "ITL", "E2EL"):
        assert len(row(lines, label)) == 2 * len(head[1:])
    assert not any("…" in line for line in lines[2:10])
    left_out = [name for name in ("p50", "p90", "p95", "p99", "max", "mean") if name not in head]
    assert (f"not shown: {', '.join(left_out)}" in " ".join(lines)) == bool(left_out)


def test_users_who_asked_again_are_load_of_their_own(tmp_path: Path) -> None:
    """Each phase says how many of its streams they were, and how many were abandoned; without any nothing is said."""
    run = Made(plan()).phases()
    run.many(0, 9990, 1000)
    for at in range(10_000, 15_000, 1000):
        first = run.stream(at, (), "abandoned", ended=at + 1000)
        again = run.stream(at + 1500, (), "abandoned", ended=at + 2500, attempt=2, retry_of=first)
        run.stream(at + 3000, [at + 3100], attempt=3, retry_of=again)

    lines = [" ".join(line.split()) for line in shown(analyse(run.write(tmp_path / "run")))]

    at = lines.index("Users who asked again")
    assert lines[at + 1] == "baseline 0 of 10 streams"
    assert lines[at + 2].startswith("wifi 10 of 15 streams: 3.0 for each first attempt; 10 streams abandoned")
    assert not any("asked again" in line for line in shown(analyse(Made(plan()).phases().write(tmp_path / "none"))))

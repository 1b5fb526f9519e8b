"""`chaoskit explain RUNDIR` tells single streams: when tokens came, and whose each stall was."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, ns
from typer.testing import CliRunner

from chaoskit.cli.app import app
from chaoskit.errors import SpecError
from chaoskit.records.model import TcpInfo


def run(tmp_path: Path) -> Path:
    """Streams of a second in the baseline, one of which stalls, and one in the phase with a fault, which dies."""
    made = Made().phases()
    made.stream(100, [200 + 20 * number for number in range(40)])
    made.stream(150, [])
    for number, (due, at) in enumerate(((300, 301), (320, 321), (340, 1041), (360, 1041), (380, 1042))):
        made.records.append(made.read(1, number, at, seq=number, due=ns(due), sent=ns(due)))
    made.records.append(TcpInfo(1, "silent", ns(430), {"rmem_alloc": 2304}))
    made.stream(11_000, [11_100, 11_120], "idle_timeout", ended=16_120)
    return made.write(tmp_path / "run")


def told(*words: str, width: int = 300) -> list[str]:
    """What it prints on a terminal of this width."""
    result = CliRunner().invoke(app, ["explain", *words], env={"COLUMNS": str(width)})
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_the_worst_streams_are_told_first(tmp_path: Path) -> None:
    """With the phases that they were in, a timeline, and a sentence and the records for each stall."""
    lines = told(str(run(tmp_path)))
    text = "\n".join(lines)

    assert lines[0] == "2 of 3 streams stalled; 1 was cut off: 1 idle_timeout."
    assert "  cut off at 16.120 s by idle_timeout; unknown" in lines
    assert text.index("stream 2, from 11.000 s on, in wifi: idle_timeout") < text.index("stream 1, from 0.150 s on")
    assert "  after token 2, to the end: 5 s of silence; unknown, nobody can tell" in lines
    assert "  token 3: 720 ms of silence; network (loss), exact" in lines
    assert "sent on time at 0.340 s by the server's clock; 700 ms longer on its way than the token before" in text
    assert "what had arrived waited for a segment that was missing" in text
    assert "    tokens.jsonl: stream 1, tokens 2 and 3" in lines
    assert "    tcp_info.jsonl: stream 1, silent at 0.430 s" in lines
    assert max(map(len, told(str(tmp_path / "run"), width=80))) <= 80


def test_streams_that_were_cut_without_a_stall_are_told(tmp_path: Path) -> None:
    """How many, by what, and of each whose that was."""
    made = Made().phases()
    made.stream(100, [200, 220])
    for number in range(3):
        made.stream(11_000 + number, [], "http_error", ended=11_500, detail="503 Service Unavailable", status=503)

    lines = told(str(made.write(tmp_path / "run")))

    assert lines[0] == "None of 4 streams stalled; 3 were cut off: 3 http_error."
    assert lines.count("  cut off at 11.500 s by http_error; server") == 3
    assert "    requests.jsonl: stream 1" in lines


def test_a_timeline_shows_tokens_stalls_and_faults(tmp_path: Path) -> None:
    """Dots until the first token, digits, lines in a stall, and tildes below where faults were in force."""
    dead = told(str(run(tmp_path)), "--stream", "2")
    drawn, faults = (line.strip() for line in dead if line.strip()[:2] in (".2", "~~"))

    assert drawn == ".2" + "_" * 70
    assert faults == "~" * 72


def test_a_stream_that_did_not_stall_can_be_asked_for(tmp_path: Path) -> None:
    """By its number; one that is not there is refused with those that are."""
    assert "  no stall" in told(str(run(tmp_path)), "--stream", "0")

    refused = CliRunner().invoke(app, ["explain", str(tmp_path / "run"), "--stream", "9"])
    assert isinstance(refused.exception, SpecError)
    assert str(refused.exception) == "there is no stream 9: this run has streams 0 to 2"


@pytest.mark.parametrize("words", [(), ("--worst", "1")])
def test_so_many_are_told_as_were_asked_for(words: tuple[str, ...], tmp_path: Path) -> None:
    """The worst five, or fewer."""
    streams = [line for line in told(str(run(tmp_path)), *words) if line.startswith("stream ")]

    assert len(streams) == (1 if words else 2)


def test_where_nothing_stalled_it_says_so(tmp_path: Path) -> None:
    """And how to ask for a stream."""
    made = Made().phases().many(0, 1000, 100)

    assert told(str(made.write(tmp_path / "run"))) == ["None of 10 streams stalled; --stream N tells one of them."]

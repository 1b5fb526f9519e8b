"""A run with a capture says whose its stalls are without any stamp of the server; what the capture lacks is told."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_packets import Talk
from made_runs import MS, START, Made, ns
from typer.testing import CliRunner

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.stalls import verdicts
from chaoskit.analysis.load import load_records
from chaoskit.analysis.result import Result, StallAttribution
from chaoskit.analysis.segments.captured_connections import Capture
from chaoskit.analysis.streams.gaps import Gaps
from chaoskit.cli.app import app
from chaoskit.records.model import Event, SocketRead, TcpInfo
from chaoskit.records.pcapng import CAPTURE
from chaoskit.report import console
from chaoskit.report.effects import is_inconclusive
from chaoskit.report.screen import Screen
from chaoskit.report.summary_line import summary_line

LAST = 500


def talk_of(version: int, is_lost: bool, port: int = 40_000) -> Talk:
    """Tokens each 20 ms, a silence of 400 ms, and more tokens."""
    talk = Talk(version, port)
    talk.handshake()
    for sent in range(100, LAST + 1, 20):
        talk.token(sent)
    if is_lost:
        flight = [talk.token(LAST + 20 * (n + 1), lost=True) for n in range(10)]
        talk.again(LAST + 400, flight[0])
    for n in range(5):
        talk.token(LAST + 400 + 20 * n)
    return talk


def run_of(folder: Path, talk: Talk) -> Path:
    """The run of a stream whose tokens are these packets, without stamps."""
    arrivals = [20 + sent for sent in (*range(100, LAST + 1, 20), *range(LAST + 400, LAST + 500, 20))]
    made = Made(plan=None)
    made.stream(0, arrivals, port=talk.port)
    run = made.write(folder / "run")
    talk.written(run, start=START)
    return run


def attribution(result: Result) -> StallAttribution:
    """Of its only phase."""
    return result.phases[0].stall_attribution


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_stall_is_whose_its_packets_say(tmp_path: Path, is_lost: bool) -> None:
    """Of a server that stamps nothing; with the kind, and the evidence about the longest one."""
    found = attribution(analyse(run_of(tmp_path, talk_of(4, is_lost))))

    assert found.stalls == 1
    assert (found.network_ms, found.server_ms) == pytest.approx((200, 0) if is_lost else (0, 200), abs=6)
    assert (found.confidence, found.reason) == ("likely", "by the headers of the packets: 1 stall")
    assert found.network_kinds == ({"loss": pytest.approx(200)} if is_lost else {})


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_death_is_whose_its_packets_say(tmp_path: Path, is_lost: bool) -> None:
    """In silence: by the answer to the FIN with which the client gave up, as a stall and as an interruption."""
    talk = Talk()
    talk.handshake()
    for sent in range(100, LAST + 1, 20):
        talk.token(sent)
    if is_lost:
        talk.token(LAST + 20, lost=True)
    talk.up(2520, 0x11, acked=21 * 200)
    talk.fin(2560, 0x10)
    made = Made(plan=None)
    made.stream(0, [20 + sent for sent in range(100, LAST + 1, 20)], "idle_timeout", ended=2520, port=talk.port)
    talk.written(made.write(tmp_path / "run"), start=START)

    found = analyse(tmp_path / "run")

    whose = "network" if is_lost else "server"
    assert found.phases[0].interruption_causes == {whose: 1}
    assert getattr(attribution(found), f"{whose}_ms") == pytest.approx(1800)


def test_it_is_shown(tmp_path: Path) -> None:
    """The kind beside the network's share, and what it rests on."""
    shown = io.StringIO()

    console.render(analyse(run_of(tmp_path, talk_of(4, True))), Screen(shown, 100))

    assert "beyond 200 ms: network (loss) 100 %" in shown.getvalue()
    assert "likely: by the headers of the packets: 1 stall" in shown.getvalue()


def test_packets_of_another_connection_are_no_evidence(tmp_path: Path) -> None:
    """The stall is judged without, and the run says that its stream was not captured."""
    run = run_of(tmp_path, talk_of(4, True))
    talk_of(4, True, port=50_000).written(run, start=START)

    result = analyse(run)

    assert attribution(result).network_ms == 0
    assert "headers" not in attribution(result).reason
    assert any("1 stream of 1 are not in the capture" in each for each in result.warnings), result.warnings


@pytest.mark.parametrize(
    ("dropped", "cut", "words"), [(12, 0, "the capture dropped 12 packets"), (0, 30, "ends in the middle of a packet")]
)
def test_what_a_capture_lacks_is_told(tmp_path: Path, dropped: int, cut: int, words: str) -> None:
    """A full ring, and a kill."""
    talk = talk_of(4, True)
    run = run_of(tmp_path, talk)
    path = talk.written(run, dropped, START)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) - cut])

    assert any(words in each for each in analyse(run).warnings)


def test_a_run_that_could_not_capture_says_why(tmp_path: Path) -> None:
    """It went on without."""
    run = run_of(tmp_path, talk_of(4, True))
    (run / CAPTURE).unlink()
    (run / "machine.json").write_text(json.dumps({"uncaptured": "packets cannot be captured here: Protocol wrong"}))

    result = analyse(run)

    assert any(each.startswith("no packets were captured") for each in result.warnings)


@pytest.mark.parametrize("is_lossy", [False, True])
def test_a_client_that_did_not_look_is_the_client(tmp_path: Path, is_lossy: bool) -> None:
    """The packets came each 20 ms, or the first one after 300 ms by a retransmission; one read had them all."""
    talk = Talk()
    talk.handshake()
    begins = [talk.token(sent, lost=is_lossy and sent == LAST + 20) for sent in range(100, LAST + 401, 20)]
    if is_lossy:
        talk.again(LAST + 320, begins[(LAST + 20 - 100) // 20])
    made = Made(plan=None)
    number = made.stream(0, [20 + sent for sent in range(100, LAST + 1, 20)], port=talk.port, ended=LAST + 440)
    late = LAST + 420
    made.records += [made.read(number, 21, late, looked=LAST + 21)]
    run = made.write(tmp_path / "run")
    talk.written(run, start=START)

    found = attribution(analyse(run))

    assert found.client_ms == pytest.approx(190, abs=12)
    assert found.network_ms == 0


def test_parts_of_a_token_do_not_make_it_the_servers(tmp_path: Path) -> None:
    """A path that became 400 ms longer; a packet of half a token came in the middle of the gap."""
    talk = Talk()
    talk.handshake()
    for sent in range(100, LAST + 1, 20):
        talk.token(sent)
    talk.token(LAST + 20, took=180, length=100)
    for n in range(8):
        talk.token(LAST + 40 + 20 * n, took=400)
    made = Made(plan=None)
    arrivals = [*(20 + sent for sent in range(100, LAST + 1, 20)), *(LAST + 440 + 20 * n for n in range(8))]
    made.stream(0, arrivals, port=talk.port)
    run = made.write(tmp_path / "run")
    talk.written(run, start=START)

    found = attribution(analyse(run))

    assert found.stalls == 1
    assert found.server_ms == pytest.approx(0, abs=25)
    assert found.network_ms == pytest.approx(220, abs=25)


@pytest.mark.parametrize(("size", "whose"), [(1448, "network"), (700, "server")])
def test_full_segments_that_were_sent_late_had_to_wait(tmp_path: Path, size: int, whose: str) -> None:
    """By the server's clock it sent late; five tokens joined in each full segment had waited in its kernel."""
    talk = Talk()
    talk.handshake()
    for sent in range(100, LAST + 1, 20):
        talk.token(sent)
    made = Made(plan=None)
    arrivals = [20 + sent for sent in range(100, LAST + 1, 20)]
    made.stream(0, arrivals, port=talk.port, ended=1000)
    for n in range(4):
        at = LAST + 420 + 17 * n
        talk.token(at - 20, length=size)
        tokens = (Event("content"),) * 5
        made.records.append(SocketRead(0, 100 + n, ns(at), ns(at), ns(at - 1), size, tokens))
    seen = {"rcv_mss": 1448, "advmss": 1448}
    made.records += [TcpInfo(0, "silent", ns(LAST + 130), seen), TcpInfo(0, "resumed", ns(LAST + 420), seen)]
    run = made.write(tmp_path / "run")
    talk.written(run, start=START)

    found = attribution(analyse(run))

    assert found.stalls == 1
    assert (found.network_ms > 0, found.server_ms > 0) == (whose == "network", whose == "server")
    assert found.network_kinds.keys() == ({"queueing"} if whose == "network" else set())


def test_millions_of_packets_are_read_at_once(tmp_path: Path) -> None:
    """Numbers, not seconds: no packet is looked at on its own but a SYN."""
    talk = talk_of(4, False)
    for n in range(20_000):
        talk.token(1000 + n)

    found = talk.segments(tmp_path)

    assert len(found.down.at) == 20_000 + 26
    assert found.deliveries.tolist() == list(range(20_026))
    assert int(found.down.at[-1]) == round((1000 + 19_999 + 20) * MS)


def test_a_verdict_names_its_packets(tmp_path: Path) -> None:
    """Those before the silence and at its end, as Wireshark counts them; and the evidence in one sentence."""
    raw = load_records(run_of(tmp_path, talk_of(4, True)))
    evidence = StreamEvidence(capture=raw.capture or Capture(), ports={0: 40_000})
    table = raw.streams.table

    (found,) = verdicts(Gaps(table, np.flatnonzero(table.is_gap)), evidence)

    assert found.sentence == "10 packets of the server never arrived"
    assert found.records == ("tokens.jsonl: stream 0, tokens 21 and 22", "capture.pcapng: packets 25, 26")


def test_a_story_shows_segments_and_the_parts_of_a_first_token(tmp_path: Path) -> None:
    """Those that were sent again by a letter; the way up, the server and the way back by the packets."""
    talk = Talk()
    talk.handshake()
    talk.acknowledge(60, answers=40)
    for sent in range(400, 801, 20):
        talk.token(sent)
    flight = [talk.token(800 + 20 * (n + 1), lost=n == 0) for n in range(10)]
    talk.again(1300, flight[0])
    made = Made(plan=None)
    arrivals = [*range(420, 821, 20), *(1320 + n / 10 for n in range(10))]
    made.stream(0, arrivals, port=talk.port, sent=ns(40))
    talk.written(made.write(tmp_path / "run"), start=START)

    result = CliRunner().invoke(app, ["explain", str(tmp_path / "run")], env={"COLUMNS": "120"})

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    (first,) = [line for line in lines if "first token:" in line]
    assert "upload 20 ms, server 3" in first
    assert "way back 20 ms" in first
    drawn = lines[lines.index(next(line for line in lines if "____" in line)) + 1]
    assert drawn.count("R") == 1
    assert drawn.rstrip().endswith("R")
    assert any("capture.pcapng: packets 4, 5, 6" in line for line in lines)


def test_a_run_has_its_verdict_in_one_line(tmp_path: Path) -> None:
    """How late first tokens were, and whose the time of the stalls was."""
    shown = io.StringIO()
    console.render(analyse(run_of(tmp_path, talk_of(4, True))), Screen(shown, width=160))

    whose = "100 % of the stall time is loss recovery on the way down."
    assert "MEASURED  no objectives are set" in shown.getvalue()
    assert f"whole run  {whose}" in shown.getvalue()


def test_the_verdict_of_a_run_is_of_one_phase(tmp_path: Path) -> None:
    """The phase with the largest effect beyond chance, with the interval, and the cause of this effect there."""
    made = Made().phases().many(0, 9000, 100)
    for number in range(80):
        made.stream(10_500 + number * 20, [11_000 + number * 20, 11_300 + number * 20])

    line = summary_line(analyse(made.write(tmp_path / "run")))

    told = r"p95 first token 100 ms → 500 ms under wifi \(5×, 95 %: .*\); 100 % of the lateness of first tokens is "
    assert re.match(told, line), line


def test_what_could_be_chance_is_no_effect(tmp_path: Path) -> None:
    """Forty streams bound no p95 from above: the table marks it, and the sentence tells the median."""
    made = Made().phases().many(0, 4000, 100)
    for number in range(80):
        made.stream(10_500 + number * 20, [11_000 + number * 20, 11_300 + number * 20])
    found = analyse(made.write(tmp_path / "run"))

    p95 = next(each for each in found.comparisons if (each.phase, each.metric) == ("wifi", "ttft_p95"))
    assert is_inconclusive(p95)
    assert summary_line(found).startswith("median first token 100 ms → 500 ms under wifi (5×, 95 %: ")


def test_nothing_beyond_chance(tmp_path: Path) -> None:
    """A stall in one phase and a late first token in another one, by chance, make no sentence together."""
    made = Made().phases().many(0, 9900, 100).many(10_000, 19_900, 100).many(20_000, 29_900, 100)
    made.stream(15_000, [15_100, 15_400, 15_420])
    made.stream(25_000, [25_150, 25_170, 25_190])

    line = summary_line(analyse(made.write(tmp_path / "run")))

    assert line.startswith(
        "nothing became worse beyond chance under wifi; p95 first token 100 ms → 100 ms under wifi (1×"
    )
    assert line.endswith(" could be chance.")
    assert "stall" not in line

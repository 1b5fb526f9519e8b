"""A lab's routers tell when text left the far end, where it was lost, and where it was long on its way."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from made_packets import OFFSET, PacketHeaders, Talk
from made_runs import START, Made

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.attribution.run_evidence import run_evidence, timeline_of
from chaoskit.analysis.attribution.stalls import verdict_on
from chaoskit.analysis.attribution.stories import stories
from chaoskit.analysis.attribution.verdict import Verdict, stalls_of
from chaoskit.analysis.load import load_records
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.segments.captured_connections import load_capture
from chaoskit.analysis.segments.links import load_links
from chaoskit.planning.compile import compile_plan
from chaoskit.records import pcapng
from chaoskit.records.pcapng import CAPTURE, capture_name
from chaoskit.report.screen import Screen
from chaoskit.report.stories import render
from chaoskit.spec.load import parse
from chaoskit.topology.lab import service

LAST = 500
FILE = """\
name: made
question: Where?
stage: {{lab: edge}}
workload: {{request-rate: 1/s}}
evidence: {{capture: true}}
faults:
  hole: {{link: {link}, direction: down, size-drop: 1400}}
timeline: [{{hole: 10s}}]
"""
Script = Callable[[Talk, bool], None]
"""Tells a connection to the client's capture, or (True) to that of a router, which has what was lost behind it."""


def lost(talk: Talk, is_router: bool) -> None:
    """A silence of 400 ms: a flight of ten is lost behind the router, and its first one sent again."""
    flight = [talk.token(LAST + 20 * (n + 1), lost=not is_router) for n in range(10)]
    talk.again(LAST + 400, flight[0])


def late(talk: Talk, is_router: bool) -> None:
    """The same silence: the path became 400 ms longer."""
    for n in range(5):
        talk.token(LAST + 20 * (n + 1), took=None if is_router else 400 - 20 * n)


def paused(talk: Talk, is_router: bool) -> None:
    """The same silence of the server."""


def kept(talk: Talk, is_router: bool) -> None:
    """The stream dies: what the server sends is lost behind the router, to the end."""
    for n in range(5):
        talk.token(LAST + 200 * (n + 1), lost=not is_router)


def run_of(folder: Path, script: Script, *, dies: bool = False, dropped: int = 0, link: str = "client-router") -> Path:
    """The run of a stream, with captures at the client and at the router."""
    client, router = Talk(), Talk(trip=0)
    for talk, is_router in ((client, False), (router, True)):
        talk.handshake()
        for sent in range(100, LAST + 1, 20):
            talk.token(sent)
        script(talk, is_router)
        for n in range(0 if dies else 5):
            talk.token(LAST + 420 + 20 * n)
    arrivals = [20 + sent for sent in range(100, LAST + 1, 20)]
    arrivals += [] if dies else [LAST + 420] * (script in (lost, late)) + [LAST + 440 + 20 * n for n in range(5)]
    text = FILE.format(link=link)
    made = Made(plan=compile_plan(parse(text, "made.yaml")))
    made.phases()
    made.stream(0, arrivals, port=client.port, completion="idle_timeout" if dies else "complete", ended=2500)
    run = made.write(folder / "run")
    client.written(run, start=START)
    came = {name(each) for each in client.found}
    leaving = [each._replace(interface=1, is_outgoing=True) for each in router.found if name(each) in came]
    write(run / capture_name("router"), [*router.found, *leaving], dropped)
    return run


def name(packet: PacketHeaders) -> bytes:
    """What does not change on the way: all up to the sequence number, and the sender's timestamp."""
    return packet.headers[:28] + packet.headers[44:48]


def write(
    path: Path, packets: list[PacketHeaders], dropped: int, links: tuple[str, str] = ("to-server", "to-client")
) -> None:
    """The capture of a router with these links, the one to the server first."""
    packets.sort(key=lambda packet: packet.at)
    path.write_bytes(
        pcapng.section("chaoskit test", OFFSET - START)
        + b"".join(map(pcapng.interface, links))
        + pcapng.packets(packets)
        + pcapng.statistics(packets[-1].at, len(packets) + dropped, dropped)
    )


def verdict(run: Path) -> Verdict:
    """On its only stall."""
    raw = load_records(run)
    seen = SeenConnections(raw.connection_ends, raw.host_sockets)
    evidence = run_evidence(raw, timeline_of(raw), seen).evidence
    (stall,) = stalls_of(raw.streams.gaps)
    return verdict_on(stall, raw.streams.gaps.table, evidence)


def test_a_loss_has_its_place(tmp_path: Path) -> None:
    """When it left, between which two it was lost, how long after the first copy the one that came left."""
    found = verdict(run_of(tmp_path, lost))

    assert (found.cause, found.kind, found.place) == ("network", "loss", "between router and client")
    assert "left server at 0.520 s, lost between router and client; the copy that arrived left 380 ms later" in (
        found.sentence
    )
    assert found.records[-1].startswith("capture-router.pcapng: packets ")


def test_a_delay_has_its_place(tmp_path: Path) -> None:
    """Nothing was lost; the stretch on which it took longer than usual."""
    found = verdict(run_of(tmp_path, late))

    assert (found.cause, found.kind, found.place) == ("network", "delay", "between router and client")
    assert "arrived 400 ms later" in found.sentence


def test_a_pause_left_the_server_late(tmp_path: Path) -> None:
    """No place: the links carried what there was."""
    found = verdict(run_of(tmp_path, paused))

    assert (found.cause, found.place) == ("server", "")
    assert "left server only at 0.920 s, 420 ms after what came before it" in found.sentence


@pytest.mark.parametrize(
    ("script", "cause", "words"),
    [(kept, "network", "5 packets left server"), (paused, "server", "nothing left server")],
)
def test_a_stream_that_died(tmp_path: Path, script: Script, cause: str, words: str) -> None:
    """Which the client's own packets leave unknown: either what was sent was lost, or nothing was sent."""
    found = verdict(run_of(tmp_path, script, dies=True))

    assert (found.cause, words in found.sentence) == (cause, True), found


def test_a_capture_that_dropped_packets_decides_nothing(tmp_path: Path) -> None:
    """What is missing at a router may have passed it: the place is told with its doubt, and the run warns of it."""
    run = run_of(tmp_path, kept, dies=True, dropped=4)

    found = verdict(run)

    assert (found.cause, found.confidence) == ("unknown", "none")
    assert "not sure: captures dropped 4 packets" in found.sentence
    assert any("router dropped 4 packets" in each for each in analyse(run).warnings)


def test_a_torn_capture_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    """As after a kill: what comes later is judged without it, which is told."""
    run = run_of(tmp_path, lost)
    path = run / capture_name("router")
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])

    found = verdict(run)

    assert (found.cause, found.place) == ("network", "")
    assert any("capture-router.pcapng ends in the middle of a packet" in each for each in analyse(run).warnings)


def test_a_router_without_a_capture_is_told(tmp_path: Path) -> None:
    """Its reason; and stalls have no place."""
    run = run_of(tmp_path, lost)
    (run / capture_name("router")).unlink()
    (run / "machine.json").write_text('{"uncaptured-router": "capturing packets needs CAP_NET_RAW"}')

    assert verdict(run).place == ""
    assert any(
        each
        == "no packets were captured at router, so places on its links are unknown: capturing packets needs CAP_NET_RAW"
        for each in analyse(run).warnings
    )


def test_a_result_has_the_places(tmp_path: Path) -> None:
    """The network's time by the links on which it was."""
    found = analyse(run_of(tmp_path, lost)).phases[0].stall_attribution

    assert found.network_places == {"between router and client": pytest.approx(found.network_ms)}


def test_a_story_has_what_passed_each_link(tmp_path: Path) -> None:
    """A row with the losses where there were any; what was sent, lost and delayed, for each."""
    shown = io.StringIO()

    render(stories(run_of(tmp_path, lost), [], 1), Screen(shown, 80))

    lines = shown.getvalue().splitlines()
    (place,) = [number for number, line in enumerate(lines) if "router to client: 37 packets, 10 lost (x)" in line]
    assert re.fullmatch(r"  [-.]*x[-x.]*x[-.]*", lines[place - 1].rstrip()), lines


def test_a_fault_on_what_comes_in_has_no_point_behind_it(tmp_path: Path) -> None:
    """So that a loss there cannot be told from one behind the router."""
    assert verdict(run_of(tmp_path, lost, link="router-server")).place == "between server and client"


def test_a_service_lab_has_two_routers(tmp_path: Path) -> None:
    """Each stretch has its two ends; what came to the edge and never left it was lost on the client's link."""
    talk = Talk(trip=0)
    talk.handshake()
    for sent in range(100, 400, 20):
        talk.token(sent)
    packets = sorted(talk.found, key=lambda packet: packet.at)
    for router, links, passed in (("fabric", ("to-model", "to-edge"), 15), ("edge", ("to-fabric", "to-client"), 14)):
        leaving = [each._replace(interface=1, is_outgoing=True) for each in packets[: 4 + passed]]
        write(tmp_path / capture_name(router), [*packets, *leaving], 0, links)
    talk.found = packets[:-1]
    talk.written(tmp_path, start=START)
    capture = load_capture(tmp_path / CAPTURE, [talk.port])
    assert capture is not None

    way = load_links(tmp_path, service({"model": 1}), (), [talk.port]).way(capture.by_port[talk.port][0])

    assert way is not None
    assert way.far == "model"
    assert way.stretches == (("fabric", "edge"), ("fabric", "edge"), ("edge", "client"), ("edge", "client"))
    assert [each.lost_on for each in way.sent] == [None] * 14 + [2]
    assert way.named(2) == "between edge and client"

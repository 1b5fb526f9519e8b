"""Who ended a stream is read from what the namespaces of a lab saw, and nothing is claimed that they did not see."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from made_runs import Made, ns, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import Closing
from chaoskit.analysis.result import Result
from chaoskit.records.host_records import ConnectionEnd, EndKind, HostSocket
from chaoskit.records.model import Completion, Counters, Request

ROUTERS = {"client": "edge", "gateway": "fabric", "model": "fabric", "vectors": "fabric"}
WAY = 0.05  # ms from one namespace to the next
PORT = 8080
NEVER = 10**9


@dataclass
class World:
    """client - edge - fabric - gateway, model, vectors. Times are ms after the start of the run."""

    made: Made = field(default_factory=lambda: Made(plan(timeline="[{baseline: 300s}]")).phases())
    ports: int = 40000

    def segment(
        self, at: float, kind: EndKind, sender: tuple[str, int], receiver: tuple[str, int], stops_at: str = ""
    ) -> None:
        """A segment that each namespace on its way sees, up to the one where it is dropped."""
        names = (sender[0], receiver[0])
        path = [ROUTERS[names[0]], *([ROUTERS[names[1]]] if ROUTERS[names[0]] != ROUTERS[names[1]] else []), names[1]]
        for hop, place in enumerate(path):
            when = ns(at + WAY * (hop + 1))
            self.made.records.append(ConnectionEnd(when, place, "eth0", kind, *sender, *receiver))
            if place == stops_at:
                return

    def connect(self, at: float, opener: str, other: str) -> tuple[tuple[str, int], tuple[str, int]]:
        """A new connection; its two ends."""
        self.ports += 1
        ends = (opener, self.ports), (other, PORT)
        self.segment(at, "syn", *ends)
        self.segment(at + 3 * WAY, "syn-ack", ends[1], ends[0])
        return ends

    def silent(self, ends: tuple[tuple[str, int], tuple[str, int]], since: float, **more: int) -> None:
        """The opener's socket has received nothing since then; sampled a second after."""
        fields = {"state": 1, "last_data_recv": 900, **more}
        self.made.records.append(HostSocket(ns(since + 900), *ends[0], *ends[1], fields))

    def stream(self, begin: float, end: float, completion: Completion, last: float, **more: object) -> tuple[str, int]:
        """A stream of ten tokens on a connection of its own, and its port; its last token comes at `last`."""
        client, _ = self.connect(begin, "client", "gateway")
        tokens = [begin + (last - begin) * (index + 1) / 10 for index in range(10)]
        self.made.stream(begin, tokens, completion, end, **{"sent": ns(begin + 0.5), "port": client[1], **more})
        return client

    def result(self, folder: Path) -> Result:
        """What the analysis says of the run."""
        return analyse(self.made.write(folder / "run"))

    def closings(self, folder: Path) -> tuple[Closing, ...]:
        """Its closings."""
        return self.result(folder).phases[0].closings


def gave_up(count: int = 6, silence: float = 60_000, kind: EndKind = "fin", spread: float = 1) -> World:
    """The gateway gives the model up after a silence, and closes the client's connection right after."""
    world = World()
    for number in range(count):
        begin = 700 * number
        upstream = world.connect(begin + 1, "gateway", "model")
        last = begin + 1000
        end = last + silence + spread * number
        client = world.stream(begin, end + 0.4, "truncated", last)
        world.silent(upstream, last)
        world.segment(end, "fin", *upstream)
        world.segment(end + 0.2, kind, ("gateway", PORT), client)
    return world


@pytest.mark.parametrize(("kind", "word"), [("fin", "closed"), ("rst", "reset")])
def test_a_proxy_that_gives_up_is_named_with_whom_it_waited_for(kind: EndKind, word: str, tmp_path: Path) -> None:
    """And after how much silence, how alike, and how near the two ends of its decision were."""
    (found,) = gave_up(kind=kind).closings(tmp_path)

    assert (found.kind, found.by, found.waited_for, found.streams) == (word, "gateway", "model", 6)
    assert found.seconds == pytest.approx(60, abs=0.01)
    assert found.spread_ms == pytest.approx(5)
    assert found.apart_ms == pytest.approx(0.2)
    assert found.confidence == "certain"
    assert f"6 of 6 {word} by gateway after 60.00 s of silence from model (spread 5 ms" in found.sentence


def test_its_silence_is_not_charged_to_the_network(tmp_path: Path) -> None:
    """The stalls in which the gateway cut the streams off are those of something in between."""
    attributed = gave_up().result(tmp_path).phases[0].stall_attribution

    assert attributed.stalls == 6
    assert attributed.between_ms == pytest.approx(6 * 60_000, rel=0.02)
    assert attributed.network_ms == attributed.unknown_ms == 0


def test_its_timer_is_called_by_its_name(tmp_path: Path) -> None:
    """Not something in between: the gateway's, with its default."""
    (found,) = gave_up().result(tmp_path).intermediaries

    assert (found.kind, found.host, found.streams) == ("idle-timer", "gateway", 6)
    assert "a timer of gateway (60 s by default: nginx proxy_read_timeout" in found.sentence


def test_who_ended_it_first_is_who_ended_it(tmp_path: Path) -> None:
    """The model resets its connection, and the gateway passes that on, however far away the model is."""
    world = World()
    for number in range(3):
        begin = 700 * number
        gateway, model = world.connect(begin + 1, "gateway", "model")
        client = world.stream(begin, begin + 500.5, "truncated", begin + 499)
        world.made.records.append(ConnectionEnd(ns(begin + 400), "fabric", "to-model", "rst", *model, *gateway))
        world.made.records.append(ConnectionEnd(ns(begin + 500), "gateway", "eth0", "rst", *model, *gateway))
        world.segment(begin + 500.1, "fin", ("gateway", PORT), client)

    (found,) = world.closings(tmp_path)

    assert (found.by, found.via, found.waited_for, found.since) == ("model", ("gateway",), "", "request")
    assert "3 of 3 ended by model, passed on by gateway, 0.50 s after the request, while data arrived" in found.sentence
    assert not world.result(tmp_path / "again").intermediaries


def test_an_end_in_a_later_phase_says_so(tmp_path: Path) -> None:
    """A stall of a phase with a fault is that phase's, and what ended it may have come after it."""
    timeline = "[{baseline: 10s}, {wifi: 10s}, {recovery: 10s}]"
    world = World(Made(plan(timeline=timeline)).phases())
    for number in range(3):
        begin = 10_000 + 700 * number
        client = world.stream(begin, 25_000, "reset", begin + 500)
        world.segment(25_000, "rst", ("gateway", PORT), client)

    found = {phase.name: phase.closings for phase in world.result(tmp_path).phases}

    (closing,) = found["wifi"]
    assert (found["recovery"], closing.by, closing.during) == ((), "gateway", "recovery")
    assert "3 of 3 reset by gateway during recovery after 1" in closing.sentence


def test_the_client_gave_up_first(tmp_path: Path) -> None:
    """Its own timeout is no other's, whatever the gateway does then."""
    world = World()
    for number in range(3):
        begin = 700 * number
        upstream = world.connect(begin + 1, "gateway", "model")
        client = world.stream(begin, begin + 11_000, "idle_timeout", begin + 1000)
        world.segment(begin + 11_000, "fin", client, ("gateway", PORT))
        world.segment(begin + 11_000.2, "fin", *upstream)
        world.segment(begin + 11_000.3, "fin", ("gateway", PORT), client)

    (found,) = world.closings(tmp_path)

    assert (found.kind, found.by, found.waited_for) == ("gave-up", "client", "gateway")
    assert "given up by the client (idle_timeout) after 10.00 s of silence from gateway" in found.sentence


def test_what_the_path_swallows_is_told(tmp_path: Path) -> None:
    """A FIN that never arrived; data that is sent again and again; an RST that no host sent."""
    world = World()
    lost = world.stream(0, 11_000, "idle_timeout", 1000)
    world.segment(2000, "fin", ("gateway", PORT), lost, stops_at="edge")
    world.segment(11_000, "fin", lost, ("gateway", PORT))
    unheard = world.stream(100, 11_100, "idle_timeout", 1100)
    world.made.records.append(HostSocket(ns(11_000), "gateway", PORT, *unheard, {"state": 1, "retransmits": 4}))
    world.segment(11_100, "fin", unheard, ("gateway", PORT))
    forged = world.stream(200, 3000, "reset", 1200)
    world.made.records.append(ConnectionEnd(ns(2999), "client", "eth0", "rst", "gateway", PORT, *forged))

    found = {each.kind: each for each in world.closings(tmp_path)}

    assert set(found) == {"end-lost", "unanswered", "reset-between"}
    assert found["end-lost"].by == "gateway"
    assert "whose FIN never arrived" in found["end-lost"].sentence
    assert "gateway kept sending what never arrived" in found["unanswered"].sentence
    assert found["reset-between"].by == ""
    assert "1 of 3 reset by neither end, but between client and gateway" in found["reset-between"].sentence


def test_a_stream_that_never_connected_is_told_by_its_syn(tmp_path: Path) -> None:
    """Refused, lost on the way, not answered, and an answer that did not arrive; each by what the namespaces saw."""
    world = World()
    for number, (stops_at, answer, answer_stops_at) in enumerate(
        [("", "rst", ""), ("edge", None, ""), ("", None, ""), ("", "syn-ack", "fabric"), ("edge", "forged", "")]
    ):
        begin = 10_000 * number
        ends = ("client", 50_000 + number), ("gateway", PORT)
        world.segment(begin, "syn", *ends, stops_at=stops_at)
        if answer != "rst":
            world.segment(begin + 1000, "syn", *ends, stops_at=stops_at)
        if answer == "forged":
            world.made.records.append(ConnectionEnd(ns(begin + 2000), "client", "eth0", "rst", *ends[1], *ends[0]))
        elif answer is not None:
            world.segment(begin + 1, answer, ends[1], ends[0], stops_at=answer_stops_at)  # type: ignore[arg-type]
        world.made.stream(begin, (), "connect_failed", begin + 5000, sent=None)

    found = {each.kind: each for each in world.closings(tmp_path)}

    assert {kind: (each.by, each.waited_for) for kind, each in found.items()} == {
        "refused": ("gateway", ""),
        "syn-lost": ("client", "gateway"),
        "syn-unanswered": ("client", "gateway"),
        "syn-ack-lost": ("client", "gateway"),
        "reset-between": ("", "gateway"),
    }
    assert "refused by gateway, with an RST to the SYN, 5.00 s after the request" in found["refused"].sentence
    assert "whose SYN never reached gateway, 5.00 s" in found["syn-lost"].sentence


def test_a_refusal_may_take_no_time_at_all(tmp_path: Path) -> None:
    """In virtual time every namespace sees the SYN and its RST at one moment, in no order."""
    world = World()
    ends = ("client", 50_000), ("gateway", PORT)
    for place in ("client", "edge", "fabric"):
        world.made.records.append(ConnectionEnd(ns(0), place, "x", "rst", *ends[1], *ends[0]))
        world.made.records.append(
            ConnectionEnd(ns(0), {"client": "gateway"}.get(place, place), "x", "syn", *ends[0], *ends[1])
        )
    world.made.stream(0, (), "connect_failed", 0.001, sent=None)

    (found,) = world.closings(tmp_path)

    assert (found.kind, found.by) == ("refused", "gateway")


def test_a_stream_may_end_inside_a_connection(tmp_path: Path) -> None:
    """A RST_STREAM of HTTP/2, or an answer 504: the connection stays, and the cause behind it is found all the same."""
    world = World()
    for number, (completion, more) in enumerate([("reset", {}), ("http_error", {"status": 504})]):
        begin = 700 * number
        upstream = world.connect(begin + 1, "gateway", "model")
        world.stream(begin, begin + 61_000.3, completion, begin + 1000, **more)  # type: ignore[arg-type]
        world.silent(upstream, begin + 1000)
        world.segment(begin + 61_000, "fin", *upstream)

    found = {each.kind: each for each in world.closings(tmp_path)}

    assert "ended by gateway inside a connection that stayed open after 60.00 s of silence from model" in (
        found["inside"].sentence
    )
    assert "answered HTTP 504 by gateway after 60.00 s of silence from model" in found["answered"].sentence


def test_rivals_make_it_only_likely(tmp_path: Path) -> None:
    """A gateway that closes two connections at once may have waited for either."""
    world = World()
    upstream, other = world.connect(1, "gateway", "model"), world.connect(2, "gateway", "vectors")
    client = world.stream(0, 61_000.4, "truncated", 1000)
    world.silent(upstream, 1000)
    world.silent(other, 3000)
    for ends in (upstream, other):
        world.segment(61_000, "fin", *ends)
    world.segment(61_000.2, "fin", ("gateway", PORT), client)

    (found,) = world.closings(tmp_path)

    assert (found.waited_for, found.confidence) == ("model", "likely")
    assert "1 of 1 probably closed by gateway" in found.sentence
    assert "vectors" in found.reason


def test_a_connection_of_another_time_is_no_cause(tmp_path: Path) -> None:
    """An idle connection of a pool that ends at the same moment was not used for this stream."""
    world = World()
    pooled = world.connect(1, "gateway", "vectors")
    world.silent(pooled, 100)
    client = world.stream(30_000, 61_000.4, "truncated", 31_000)
    world.segment(61_000, "fin", *pooled)
    world.segment(61_000.2, "fin", ("gateway", PORT), client)

    (found,) = world.closings(tmp_path)

    assert (found.by, found.waited_for) == ("gateway", "")
    assert found.seconds == pytest.approx(30, abs=0.01)


def test_a_port_may_be_used_again(tmp_path: Path) -> None:
    """The end of an earlier connection from the same port is not that of a later one."""
    world = gave_up(1)
    world.ports = 40_000
    later = world.connect(100_000, "gateway", "model")
    client = world.stream(100_000, 101_000.3, "reset", 100_999)
    world.segment(101_000, "rst", ("gateway", PORT), client)
    assert later[0][1] == 40_001

    found = {each.kind: each for each in world.closings(tmp_path)}

    assert found["closed"].seconds == pytest.approx(60, abs=0.01)
    assert found["reset"].since == "request"
    assert found["reset"].seconds == pytest.approx(1, abs=0.01)


def test_records_that_were_lost_limit_the_confidence(tmp_path: Path) -> None:
    """The kernel's count of segments that found no room is said."""
    world = gave_up()
    world.made.records.append(Counters(ns(300_000), "edge", "", "", 0, 100, 0, 7, 0, 0, 0, "connection-ends"))

    (found,) = world.closings(tmp_path)

    assert found.confidence == "likely"
    assert "7 segments with SYN, FIN or RST found no room" in found.reason


def test_a_kernel_that_let_nobody_look_is_told(tmp_path: Path) -> None:
    """The conductor wrote down why there is no evidence; the report passes it on."""
    run = gave_up().made.write(tmp_path / "run")
    (run / "machine.json").write_text('{"unseen": "the ends of connections cannot be captured here: no rights"}')

    assert "who ended streams is not known: the ends of connections cannot be captured here: no rights" in (
        analyse(run).warnings
    )


def test_without_evidence_nothing_is_said(tmp_path: Path) -> None:
    """Neither of a run that was not watched, nor of streams that ended well."""
    world = gave_up()
    world.made.records = [each for each in world.made.records if not isinstance(each, ConnectionEnd)]
    assert world.closings(tmp_path / "unwatched") == ()

    well = gave_up()
    well.made.records = [
        replace(each, completion="complete") if isinstance(each, Request) else each for each in well.made.records
    ]
    assert well.closings(tmp_path / "well") == ()

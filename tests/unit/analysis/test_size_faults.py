"""Whether faults by packet size were achieved as requested."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, ns

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import FidelityCheck, Result
from chaoskit.host_lookups import HostLookups
from chaoskit.knobs import Filter
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import PlannedPhase
from chaoskit.records.model import Counters, Hop, ServedResponse, TcpInfo
from chaoskit.spec.load import parse
from chaoskit.topology.display_names import display_name

FILE = """\
name: sizes
question: Was it as asked?
stage: {stage}
workload: {{request-rate: 10/s, output-tokens: 5}}
faults:
  path: {fault}
timeline: [{{baseline: 10s}}, {{path: 10s}}, {{recovery: 10s}}]
objectives: ["interruption_rate <= 50%"]
"""
UP, BOTH = "{direction: up, pmtu: 1400}", "{direction: both, pmtu: {mtu: 1400, signal: dropped}}"
HOLE = "{direction: up, pmtu: {mtu: 1400, signal: dropped}}"
SIZE_DROP = "{link: client-router, direction: both, size-drop: 1400}"
AT = 11_000
STAMPED = 1  # linux/tcp.h: TCPI_OPT_TIMESTAMPS
Verdicts = dict[tuple[str, str], str]


class Sized(Made):
    """Builds a run whose fault is about sizes; it has streams that the fault does not affect."""

    def __init__(self, fault: str, stage: str = "{lab: edge}", ground: HostLookups | None = None) -> None:
        super().__init__(compile_plan(parse(FILE.format(stage=stage, fault=fault), "made.yaml"), ground))
        self.phases(settling=100).many(0, 1000, 100).many(AT, AT + 1000, 100)

    @property
    def path(self) -> PlannedPhase:
        """The phase with the fault."""
        assert self.plan is not None
        return self.plan.phases[1]

    def router(self, came: int, too_long: int, signals: int) -> Sized:
        """What it counted in the phase."""
        self.records.append(Hop(ns(10_100), "router", "path", 0, 7, 3, 2))
        self.records.append(Hop(ns(20_000), "router", "path", 0, 7 + came, 3 + too_long, 2 + signals))
        return self

    def filters(self, place: str, packets: int, drops: int) -> Sized:
        """What the first filter there let go on and took; all others of the phase nothing."""
        assert self.plan is not None
        for change in self.path.changes:
            if isinstance(change.setting, Filter):
                knob = change.knob
                counts = (packets, drops) if display_name(knob, self.plan.lab) == place else (0, 0)
                place = "" if display_name(knob, self.plan.lab) == place else place
                for at, (more, taken) in ((10_100, (0, 0)), (20_000, counts)):
                    self.records.append(
                        Counters(ns(at), knob.place, knob.name, "path", 0, 5 + more, 0, taken, 0, 0, 0, "filter")
                    )
        return self

    def link(self, place: str, name: str, packets: int, drops: int) -> Sized:
        """What that link received in the phase, and could not."""
        for at, (more, lost) in ((10_100, (0, 0)), (20_000, (packets, drops))):
            self.records.append(Counters(ns(at), place, name, "path", 0, 5 + more, 0, 2 + lost, 0, 0, 0, "mtu"))
        return self

    def connection(self, at: float, client: dict[str, int], server: dict[str, int] | None = None) -> Sized:
        """One that was made then, and what the sockets at its ends showed."""
        seen = {"snd_mss": 500, "pmtu": 1500, "options": STAMPED}
        number = self.stream(at, [at + 100], connection=1000 + self.count)
        self.records.append(TcpInfo(number, "connected", ns(at + 1), seen | client))
        if server is not None:
            self.records.append(
                ServedResponse(number, ns(at + 5), 0, ns(at + 9), 5, 5, 0, "sent", seen | server, seen | server)
            )
        return self

    def result(self, folder: Path) -> Result:
        """Of the run so far."""
        return analyse(self.write(folder / f"run{len(list(folder.iterdir()))}"))

    def verdicts(self, folder: Path) -> Verdicts:
        """By what it is about, and where."""
        return {(each.kind, each.where): each.verdict for each in self.result(folder).fidelity}

    def only(self, folder: Path) -> FidelityCheck:
        """The one achievement."""
        (found,) = self.result(folder).fidelity
        return found


def test_a_smaller_path_mtu_counts_packets_and_icmp_errors(tmp_path: Path) -> None:
    """The oversized packets of all that the router received, and an ICMP error for each."""
    too_long, told = Sized(UP).router(3000, 9, 9).result(tmp_path).fidelity

    assert (too_long.kind, too_long.where, too_long.phase) == ("oversized", "the router", "path")
    assert (too_long.verdict, too_long.measured, too_long.samples) == ("achieved", 9, 3000)
    assert (told.kind, told.verdict, told.measured, told.samples) == ("icmp-sent", "achieved", 9, 9)
    assert too_long.evidence.file == "hops.jsonl"


def test_a_router_without_icmp_errors_is_not_achieved(tmp_path: Path) -> None:
    """ICMP errors were requested, and none was generated: the run is undecided."""
    result = Sized(UP).router(3000, 9, 0).result(tmp_path)

    assert [each.verdict for each in result.fidelity] == ["achieved", "not-achieved"]
    assert result.outcome.verdict == "undecided"
    assert "ICMP sent 0, the router (no ICMP error was generated)" in result.outcome.reason


@pytest.mark.parametrize(
    ("lost", "verdict"), [(9, "achieved"), (0, "not-achieved")], ids=["all are lost", "none is lost"]
)
def test_a_black_hole_drops_icmp_errors(tmp_path: Path, lost: int, verdict: str) -> None:
    """By the filter's own count; none counts as sent."""
    run = Sized(HOLE).router(3000, 9, 9).filters("signals to the client", 0, lost)

    assert run.verdicts(tmp_path) == {
        ("oversized", "the router"): "achieved",
        ("icmp-lost", "signals to the client"): verdict,
    }


def test_icmp_errors_are_of_one_direction(tmp_path: Path) -> None:
    """Where one direction's were dropped, the other had none: that is no failure."""
    run = Sized(BOTH).router(3000, 9, 9).filters("signals to the server", 0, 9)

    assert run.verdicts(tmp_path) == {
        ("oversized", "the router"): "achieved",
        ("icmp-lost", "signals to the server"): "achieved",
        ("icmp-lost", "signals to the client"): "not-exercised",
    }


@pytest.mark.parametrize("fault", [UP, HOLE, BOTH])
def test_short_packets_do_not_exercise_the_fault(tmp_path: Path, fault: str) -> None:
    """No packet was long enough: the check says so, and the run is as decided as without it."""
    run = Sized(fault).router(3000, 0, 0).filters("", 0, 0).connection(AT, {}, {"rcv_mss": 536})
    result = run.result(tmp_path)

    (found,) = result.fidelity
    assert (found.verdict, found.measured, found.samples) == ("not-exercised", 0, 3000)
    assert found.remark == "no packet was longer than 1400 bytes"
    assert result.outcome.verdict == "met"


@pytest.mark.parametrize(("arrived", "verdict"), [(1348, "not-exercised"), (1349, "not-achieved")])
def test_what_came_through_was_not_lost(tmp_path: Path, arrived: int, verdict: str) -> None:
    """A segment that arrived, with its headers and stamps longer than the path should take, is no fault; to the
    byte, and whatever the way back brings."""
    for fault in (UP, SIZE_DROP):
        run = Sized(fault).router(3000, 0, 0).filters("client-router up", 3000, 0)
        found = run.filters("client-router down", 3000, 0).connection(AT, {}, {"rcv_mss": arrived}).verdicts(tmp_path)

        assert verdict in found.values()
        assert set(found.values()) <= {verdict, "not-exercised"}
    back = Sized(UP).router(3000, 0, 0).connection(AT, {"rcv_mss": 1448}, {"rcv_mss": 536})
    assert back.only(tmp_path).verdict == "not-exercised"


@pytest.mark.parametrize("begun", [9000, 10_050])
def test_connections_from_before_the_fault_prove_nothing(tmp_path: Path, begun: float) -> None:
    """Neither one of the phase before, nor one that was opened while the fault was being set."""
    run = Sized(UP).router(3000, 0, 0).connection(begun, {}, {"rcv_mss": 1448})

    assert run.only(tmp_path).verdict == "not-exercised"


def test_a_filter_counts_its_drops(tmp_path: Path) -> None:
    """Each direction by itself; one without packets is not achieved."""
    found = Sized(SIZE_DROP).filters("client-router up", 40, 67).result(tmp_path).fidelity

    assert {(each.where, each.verdict, each.measured, each.samples) for each in found} == {
        ("client-router up", "achieved", 67, 107),
        ("client-router down", "not-achieved", 0, 0),
    }
    assert found[0].evidence.file == "counters.jsonl"


def test_an_interfaces_filters_are_counted_together(tmp_path: Path) -> None:
    """All filters of one direction; the remark says what is counted; sockets prove nothing, as other traffic matches
    too."""
    stage, ground = "{target: 'http://192.0.2.7'}", HostLookups("eth0")
    fault = "{direction: down, size-drop: 1400}"

    found = Sized(fault, stage, ground).filters("down", 40, 6).only(tmp_path)
    short = Sized(fault, stage, ground).filters("down", 40, 0).connection(AT, {"rcv_mss": 1448}).only(tmp_path)

    assert (found.where, found.verdict, found.measured, found.samples) == ("down", "achieved", 6, 46)
    assert "GSO packet" in found.remark
    assert short.verdict == "not-exercised"


@pytest.mark.parametrize(("segment", "verdict"), [(1328, "achieved"), (1329, "not-achieved")])
def test_a_clamp_limits_the_mss_of_sockets(tmp_path: Path, segment: int, verdict: str) -> None:
    """No end of any connection of the phase exceeds it, timestamps included; those of other phases may."""
    run = Sized("{mss-clamp: 1340}").connection(1000, {"snd_mss": 1448}, {"snd_mss": 1448})
    found = run.connection(AT, {"snd_mss": 1328}, {"snd_mss": segment}).only(tmp_path)

    assert (found.kind, found.where) == ("mss", "handshakes through the router")
    assert (found.verdict, found.requested, found.measured, found.samples) == (verdict, 1340, segment + 12, 2)


def test_a_clamp_without_connections_is_undecided(tmp_path: Path) -> None:
    """Without a connection of that phase there are too few packets."""
    assert Sized("{mss-clamp: 1340}").only(tmp_path).verdict == "too-few-packets"


def test_a_smaller_link_limits_the_path_mtu_at_its_end(tmp_path: Path) -> None:
    """The path MTU of sockets at that end does not exceed it; the router counts what is too long for its own end."""
    run = Sized("{link: client-router, mtu: 1400}").router(3000, 0, 0)
    run.connection(AT, {"pmtu": 1400}, {"pmtu": 1500})
    one = Sized("{link: client-router, end: client, mtu: 1400}").link("client", "eth0", 3000, 0)
    unreceived, wider = one.connection(AT, {"pmtu": 1500}, {"pmtu": 1400}).result(tmp_path).fidelity

    assert run.verdicts(tmp_path) == {
        ("oversized", "the router"): "not-exercised",
        ("mtu", "client-router at the client"): "achieved",
    }
    assert (wider.kind, wider.verdict, wider.measured) == ("mtu", "not-achieved", 1500)
    assert unreceived.verdict == "not-exercised"


@pytest.mark.parametrize(
    ("fault", "place", "name", "where"),
    [
        ("{link: router-server, end: server, mtu: 1400}", "server", "eth0", "router-server at the server"),
        ("{link: client-router, end: router, mtu: 1400}", "router", "to-client", "client-router at the router"),
        ("{link: router-server, end: server, mtu: 9000}", "router", "to-server", "router-server at the router"),
        ("{link: client-router, end: router, mtu: 9000}", "client", "eth0", "client-router at the client"),
    ],
)
def test_a_smaller_end_counts_what_it_cannot_receive(
    fault: str, place: str, name: str, where: str, tmp_path: Path
) -> None:
    """Either end of the link; by the link's own count."""
    found = Sized(fault).router(3000, 0, 0).link(place, name, 40, 7).result(tmp_path).fidelity

    (unreceived,) = (each for each in found if each.where == where and each.kind == "oversized")
    assert (unreceived.verdict, unreceived.measured, unreceived.samples) == ("achieved", 7, 47)
    assert unreceived.evidence.file == "counters.jsonl"


@pytest.mark.parametrize(("way", "place", "name"), [("up", "server", "eth0"), ("down", "client", "eth0")])
@pytest.mark.parametrize(("arrived", "verdict"), [(1352, "not-exercised"), (1353, "not-achieved")])
def test_what_an_end_received_is_not_too_long(
    way: str, place: str, name: str, arrived: int, verdict: str, tmp_path: Path
) -> None:
    """A veth accepts a VLAN tag beyond its MTU; a longer segment that arrived shows that there was no fault."""
    segment = "router-server" if place == "server" else "client-router"
    run = Sized(f"{{link: {segment}, end: {place}, mtu: 1400}}").link(place, name, 3000, 0)
    longest = {"rcv_mss": arrived}
    run.connection(AT, *(({}, longest) if way == "up" else (longest, {})))

    assert run.verdicts(tmp_path)["oversized", f"{segment} at the {place}"] == verdict


def test_equal_ends_have_no_check(tmp_path: Path) -> None:
    """Ends of equal MTU drop nothing, and have no line."""
    for fault in ("{link: router-server, mtu: 1400}", "{link: router-server, mtu: 9000}", "{tunnel: jumbo-mismatch}"):
        places = {each.where for each in Sized(fault).result(tmp_path).fidelity if each.kind == "oversized"}

        assert places <= {"the router", "router-server up", "router-server down"}


def test_a_run_without_these_counters_is_not_failed(tmp_path: Path) -> None:
    """Counters that older runs do not have are unknown, and no failure."""
    for fault in (UP, HOLE, SIZE_DROP, "{tunnel: wireguard}", "{tunnel: jumbo-mismatch}"):
        result = Sized(fault).result(tmp_path)

        assert {each.verdict for each in result.fidelity} == {"too-few-packets"}
        assert result.outcome.verdict == "met"

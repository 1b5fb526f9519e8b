"""Whole experiments on a real interface: aimed, achieved, judged, and nothing left, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import Command, started
from lab import give_addresses, run, state
from soak.run_process import kill, processes

from chaoskit.analysis.segments.captured_connections import load_capture
from chaoskit.clock import RealClock, now
from chaoskit.engine.journal import Journal
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Knob, Mtu, Sysctl
from chaoskit.records.jsonl import read
from chaoskit.records.look_record import Look
from chaoskit.records.model import Phase, Request, TcpInfo
from chaoskit.records.pcapng import CAPTURE

MS = 1_000_000
SECOND = 1000 * MS
DELAY = 40 * MS
TIMESTAMPS = 12  # bytes of each segment
EXPERIMENT = """\
name: aimed
question: Does it hit whom it should, and nobody else?
stage: {{target: "http://{host}:8000"}}
workload:
  max-concurrency: 2
  prompt-size: 1kB
  output-tokens: 40
  timeouts: {{connect: 2s, first-token: 2s, idle: 2s}}
client: {{maxseg: 1200, congestion-control: reno}}
faults:
  slow:
    - {{direction: down, netem: {{delay: 40ms, loss: 5%}}}}
    - {{direction: up, netem: {{delay: 10ms}}}}
timeline: [{{baseline: {baseline}}}, {{slow: {length}}}, {{recovery: 1s}}]
evidence: {{capture: true}}
objectives:
  - ttft_p50 during slow < 10s
  - ttft_p50 during slow < 1.01x baseline
seed: 5
"""

LIGHT = EXPERIMENT.replace("max-concurrency: 2", "request-rate: 2/s")
"""Where nothing is measured: streams that leave the guest time for all else."""

DECIDED = EXPERIMENT.replace("  - ttft_p50 during slow < 1.01x baseline\n", "")

SMALL = """\
name: small
question: What does an interface that takes less do, one that loses what is long, and a clamp?
stage: {{target: "http://{host}:8000"}}
workload:
  max-concurrency: 2
  prompt-size: 8kB
  output-tokens: 10
  timeouts: {{connect: 10s, first-token: 2s, idle: 10s}}
faults:
  smaller: {{mtu: 1300}}
  slow: {{direction: up, size-drop: 1000}}
  clamped: {{mss-clamp: 900}}
timeline: [{{baseline: {baseline}}}, {{smaller: 2s}}, {{slow+smaller: {length}}}, {{clamped: 3s}}]
seed: 5
"""

EVERYTHING = """\
name: everything
question: Does anything of it stay?
stage: {{target: "http://{host}:8000"}}
workload:
  request-rate: 2/s
  output-tokens: 40
  timeouts: {{connect: 2s, first-token: 2s, idle: 2s}}
faults:
  slow:
    - {{direction: down, netem: {{delay: 40ms, loss: 5%}}}}
    - {{direction: up, size-drop: 1200}}
  smaller: {{mtu: 1300}}
  clamped: {{mss-clamp: 1000}}
timeline: [{{baseline: {baseline}}}, {{slow+smaller+clamped: {length}}}]
seed: 5
"""
ALL = "slow+smaller+clamped"


@dataclass(frozen=True)
class Setting:
    """A link between the namespace `here`, where the probe is, and an address at which the server is."""

    kernel: LinuxKernel
    interface: str
    host: str
    server: str
    leases: Path

    @property
    def url_host(self) -> str:
        """As it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def looks(self) -> str:
        """All that the kernel tells about the interface's namespace, but for what ages by itself."""
        told = state(self.kernel, "here").splitlines()
        with self.kernel.inside("here"):
            filters = [run("tc", "-d", "filter", "show", "dev", self.interface, hook) for hook in ("ingress", "egress")]
        return "\n".join([*(line for line in told if "lladdr" not in line and "neigh/" not in line), *filters])

    def calls(self) -> str:
        """What ss says of the sockets here that are connected to the server."""
        with self.kernel.inside("here"):
            return run("ss", "-Htin", "state", "established", "dport", "= :8000")

    def is_touched(self) -> bool:
        """Whether anything of ours is there."""
        ifbs = (Knob("ifb", "", name) for name in ("chaos-up", "chaos-down", "chaos-hole"))
        knobs = [Knob("clsact", "", self.interface), *ifbs]
        return any(self.kernel.read(Knob(knob.kind, "here", knob.name)) is not None for knob in knobs)


class Experiment:
    """`chaoskit run` of the experiment inside `here`, as a process of its own."""

    def __init__(self, setting: Setting, folder: Path, text: str, *options: str) -> None:
        self.file = folder / "aimed.yaml"
        self.file.write_text(text)
        self.directory = folder / "run"
        self.process = start(setting, "run", str(self.file), "--out", str(self.directory), *options)
        self.said = self.process.said

    def reached(self, phase: str) -> bool:
        """Whether the run has come to that phase."""
        if self.process.poll() is not None:
            raise AssertionError(f"it ended too early: {self.said.read_text()}")
        return any(each.name == phase for each in read(self.directory, Phase))

    def ends(self) -> int:
        """Its exit code."""
        return self.process.wait(200 * SECOND)

    def result(self) -> dict[str, Any]:
        """What it found."""
        found: dict[str, Any] = json.loads((self.directory / "result.json").read_text())
        return found

    def conductor(self) -> int:
        """The process that holds everything together: the command's child that has a session of its own."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                _, parent, _, session, *_ = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(parent) == self.process.pid and session == process.name:
                return int(process.name)
        raise AssertionError("there is no conductor")


def start(setting: Setting, *words: str) -> Command:
    """A chaoskit command inside `here`, with a state folder of its own."""
    with setting.kernel.inside("here"):
        return started(setting.leases, *words)


def until(condition: Callable[[], object], limit: int = 60 * SECOND) -> None:
    """Wait for the condition, at most `limit` ns."""
    clock = RealClock()
    end = clock.now() + limit
    while not condition():
        assert clock.now() < end, "it did not come about"
        clock.sleep_until(clock.now() + 20 * MS)


@pytest.fixture(params=["lo 127.0.0.1", "cable fd00::2"])
def setting(request: pytest.FixtureRequest, kernel: LinuxKernel, tmp_path: Path) -> Iterator[Setting]:
    """Loopback, or a cable to another namespace, and `chaoskit serve` at the address."""
    interface, host = request.param.split()
    give_addresses(kernel)
    server = "here" if interface == "lo" else "there"
    words = f"serve --host {host} --first-token 50ms --first-token-p99 60ms --token-interval 10ms"
    with kernel.inside(server):
        serving = started(tmp_path / "server", *words.split())
    until(lambda: "until Ctrl-C" in serving.said.read_text())
    yield Setting(kernel, interface, host, server, tmp_path / "state")
    serving.kill()


Run = Callable[..., Experiment]


@pytest.fixture
def begin(setting: Setting, tmp_path: Path) -> Iterator[Run]:
    """Begins an experiment; none is left behind, whatever became of the test."""
    begun: list[Experiment] = []

    def one(
        length: str, folder: str = "one", text: str = EXPERIMENT, baseline: str = "1s", options: Sequence[str] = ()
    ) -> Experiment:
        (tmp_path / folder).mkdir()
        words = text.format(host=setting.url_host, length=length, baseline=baseline)
        begun.append(Experiment(setting, tmp_path / folder, words, *options))
        return begun[-1]

    yield one
    for experiment in begun:
        experiment.process.kill()


only_v4_cable = pytest.mark.parametrize("setting", ["cable 10.0.0.2"], indirect=True)


@contextmanager
def neighbour(setting: Setting) -> Iterator[Callable[[], int]]:
    """A server at another port of the same address; the function asks it once and gives the ns that it took."""
    family = socket.AF_INET6 if ":" in setting.host else socket.AF_INET
    with setting.kernel.inside(setting.server):
        listener = socket.create_server((setting.host, 8001), family=family)

    def answer() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                caller.sendall(caller.recv(100))

    def ask() -> int:
        with setting.kernel.inside("here"):
            caller = socket.socket(family)
        with caller:
            caller.settimeout(30)
            began = now()
            caller.connect((setting.host, 8001))
            caller.sendall(b"hello")
            assert caller.recv(100) == b"hello"
            return now() - began

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield ask
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def test_a_run_hits_its_target_and_leaves_nothing(setting: Setting, begin: Run) -> None:
    """The faults come about as asked, the objectives are judged, the probe's sockets are tuned, the neighbour's port
    never notices, and the kernel says the same as before, byte for byte."""
    with neighbour(setting) as ask:
        before = setting.looks()
        ask()
        experiment = begin("6s", baseline="3s")
        until(lambda: experiment.reached("slow"))
        took = [ask() for _ in range(30)]
        assert setting.is_touched()
        until(lambda: " reno " in setting.calls())
        assert not experiment.reached("recovery")

        code = experiment.ends()

    result = experiment.result()
    assert result["outcome"]["status"] == "finished", experiment.said.read_text()
    assert [each["verdict"] for each in result["objectives"]] == ["met", "broken"]
    assert code == 1
    achieved = {(each["kind"], each["where"]): each for each in result["fidelity"] if each["phase"] == "slow"}
    assert {each["verdict"] for each in achieved.values()} == {"achieved"}, achieved
    assert achieved["loss", "down"]["samples"] > 300
    assert achieved["round-trip", "to the target and back"]["measured"] == pytest.approx(50, abs=6)
    assert sorted(took)[len(took) // 2] < DELAY, "questions to the neighbour's port, each two round trips"
    assert {info.fields["snd_mss"] for info in read(experiment.directory, TcpInfo)} == {1200 - TIMESTAMPS}
    requests = read(experiment.directory, Request)
    assert [each for each in requests if each.completion == "complete"]
    causes = [phase["stall_attribution"] for phase in result["phases"]]
    assert {each["confidence"] for each in causes} == {"exact"}, causes
    trips = captured_round_trips(experiment.directory, requests)
    assert DELAY <= trips[len(trips) // 2] < 2 * DELAY, "packets are captured behind the fault, as TCP gets them"
    assert setting.looks() == before


def captured_round_trips(run: Path, requests: list[Request]) -> list[int]:
    """Those of the handshakes during the fault, by the capture, in order, ns."""
    (slow,) = (each for each in read(run, Phase) if each.name == "slow")
    begun = [each for each in requests if each.port is not None and slow.ready < each.started < slow.until - SECOND]
    capture = load_capture(run / CAPTURE, {each.port for each in begun if each.port is not None})
    assert capture is not None
    found = [capture.connection(each.port, each.sent or each.ended) for each in begun]
    return sorted(each.round_trip for each in found if each is not None and each.round_trip is not None)


@only_v4_cable
def test_a_stolen_run_directory_harms_nobody(setting: Setting, begin: Run, tmp_path: Path) -> None:
    """The user who owns the parent of a run directory takes it away in the middle of root's run, and puts links to
    root's files and a journal of his own in its place: none is written, none is paid, and all records, the journal's
    copy and the result are where the directory has gone."""
    before = setting.looks()
    experiment = begin("3s")
    until(lambda: experiment.reached("slow"))
    precious = tmp_path / "precious"
    precious.write_text("whole")
    gone = experiment.directory.with_name("gone")
    experiment.directory.rename(gone)
    experiment.directory.mkdir()
    for name in ("result.json", ".result.json.new", "outcome.json", "conduct.log", "phases.jsonl"):
        (experiment.directory / name).symlink_to(precious)
    forward = Knob("sysctl", "", "net.ipv4.ip_forward")
    with Journal.at(experiment.directory) as journal:
        journal.intend(forward, Sysctl("1"), Sysctl("0"))
        journal.done(forward)

    code = experiment.ends()

    assert code == 1, experiment.said.read_text()
    assert precious.read_text() == "whole"
    assert setting.looks() == before
    assert {"result.json", "outcome.json", "journal.jsonl", "tokens.jsonl"} <= {path.name for path in gone.iterdir()}
    assert json.loads((gone / "outcome.json").read_text())["how"] == "finished"
    assert b"restored" in (gone / "journal.jsonl").read_bytes()


@only_v4_cable
def test_a_killed_conductor_leaves_nothing(setting: Setting, begin: Run) -> None:
    """kill -9 in the middle of all faults, each of which is in force: its watchdog puts everything back long before the
    run's end, the clamp too, which not even the probe holds on to; and the run says that it was killed."""
    before, clamp, size = setting.looks(), Knob("clamp", "here", "mss"), Knob("mtu", "here", "cable")
    experiment = begin("30s", text=EVERYTHING)
    until(lambda: experiment.reached(ALL))
    until(lambda: f"mss:{1000 - TIMESTAMPS} " in setting.calls())
    assert setting.kernel.read(size) == Mtu(1300)
    assert setting.kernel.read(clamp) is not None
    assert setting.is_touched()
    conductor = experiment.conductor()

    os.kill(conductor, signal.SIGKILL)

    until(lambda: not setting.is_touched(), 20 * SECOND)
    until(lambda: setting.kernel.read(size) == Mtu(1500), 20 * SECOND)
    assert experiment.ends() != 0
    until(lambda: not list((setting.leases / "leases").glob("*")), 20 * SECOND)
    assert setting.kernel.read(clamp) is None
    assert experiment.result()["outcome"]["status"] == "interrupted"
    assert setting.looks() == before


@pytest.mark.parametrize("setting", ["cable fd00::2"], indirect=True)
def test_sizes_are_put_back(setting: Setting, begin: Run) -> None:
    """A smaller MTU alone costs no stream, packets lost above a size cost those that they are in the way of, a clamp
    makes both ends' segments shorter; each is achieved as asked. MTU and addresses are as before, byte for byte."""
    before = setting.looks()
    experiment = begin("4s", text=SMALL)
    until(lambda: experiment.reached("slow+smaller"))
    assert setting.kernel.read(Knob("mtu", "here", "cable")) == Mtu(1300)
    assert setting.is_touched()

    experiment.ends()

    result = experiment.result()
    assert result["outcome"]["status"] == "finished", experiment.said.read_text()
    ready = {phase.name: phase.begin for phase in read(experiment.directory, Phase)}
    died = [each for each in read(experiment.directory, Request) if each.completion != "complete"]
    assert {each.completion for each in died} == {"first_token_timeout"}
    assert min(each.ended for each in died) > ready["slow+smaller"]
    achieved = {(each["phase"], each["kind"], each["where"]): each for each in result["fidelity"]}
    assert {each["verdict"] for each in achieved.values()} == {"achieved"}, achieved
    assert achieved["clamped", "mss", "handshakes"]["measured"] <= 900
    assert achieved["clamped", "mss", "handshakes"]["samples"] >= 2
    assert achieved["smaller", "mtu", "cable"]["measured"] <= 1300
    assert achieved["slow+smaller", "oversized", "up"]["measured"] > 0
    assert setting.looks() == before


@only_v4_cable
def test_a_terminated_run_leaves_nothing(setting: Setting, begin: Run) -> None:
    """`kill` is waited for, told by the exit code, and everything is as before."""
    before = setting.looks()
    experiment = begin("30s", text=EVERYTHING)
    until(lambda: experiment.reached(ALL))

    os.kill(experiment.process.pid, signal.SIGTERM)

    assert experiment.ends() == 128 + signal.SIGTERM, experiment.said.read_text()
    assert setting.looks() == before


@only_v4_cable
def test_an_interface_that_vanishes_is_told(setting: Setting, begin: Run) -> None:
    """Somebody takes the cable away: the run ends with that sentence, and no ifb is left behind."""
    experiment = begin("30s", text=LIGHT)
    until(lambda: experiment.reached("slow"))

    with setting.kernel.inside("here"):
        run("ip", "link", "del", "cable")

    assert experiment.ends() == 3, experiment.said.read_text()
    assert experiment.result()["outcome"]["status"] == "refused"
    assert "cable was removed during the run" in experiment.result()["outcome"]["detail"]
    assert not setting.is_touched()


@only_v4_cable
def test_two_runs_at_once_are_one_too_many(setting: Setting, begin: Run) -> None:
    """The second is refused before it touches anything, and told who holds the interface. The first goes on, until
    Ctrl-C, which is waited for, told by the exit code, and puts everything back."""
    before = setting.looks()
    holder = begin("120s", text=LIGHT)
    until(lambda: holder.reached("slow"))

    late = begin("30s", folder="two", text=LIGHT)

    assert late.ends() == 3
    assert str(holder.conductor()) in late.result()["outcome"]["detail"]
    assert setting.is_touched()
    os.kill(holder.process.pid, signal.SIGINT)
    assert holder.ends() == 130, holder.said.read_text()
    assert setting.looks() == before


@pytest.mark.parametrize("setting", ["lo 127.0.0.1"], indirect=True)
def test_a_plan_shows_whom_it_would_hit(setting: Setting, tmp_path: Path) -> None:
    """Addresses, filters, and what there is to know about loopback, fragments and trains; nothing is touched."""
    experiment = tmp_path / "aimed.yaml"
    experiment.write_text(EXPERIMENT.format(host="localhost", length="5s", baseline="1s"))
    code, said = start(setting, "plan", str(experiment)).ended()

    assert code == 0
    text = " ".join(said.split())
    for words in (
        "The interface lo (",
        "localhost is 127.0.0.1",
        "filter lo egress 51717: ip tcp to 127.0.0.1/32 port 8000, through chaos-up",
        "filter lo ingress 51717: ip tcp from 127.0.0.1/32 port 8000, through chaos-down",
        "stage: fragments show no ports",
        "stage: with GSO a real interface sends up to 64 kB as one packet",
    ):
        assert words in text
    assert not setting.is_touched()


@only_v4_cable
def test_of_roots_rights_net_admin_is_enough(setting: Setting, tmp_path: Path) -> None:
    """For a run until all is decided, started as a shell does: the faults come about and are taken back, in whole
    rounds, long before its time is up; what takes NET_RAW, the capture of packets, is missed and told."""
    before, file, out = setting.looks(), tmp_path / "aimed.yaml", tmp_path / "run"
    text = DECIDED.replace("output-tokens: 40", "output-tokens: 8")  # more streams, so that few rounds decide
    file.write_text(text.format(host=setting.url_host, length="2s", baseline="1s"))
    alone = ("setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all", "--no-new-privs")
    words = ("run", str(file), "--out", str(out), "--until-decided", "--max-time", "20s")
    command = [*alone, sys.executable, "-P", "-m", "chaoskit", *words]
    environment = os.environ | {"CHAOSKIT_STATE": str(setting.leases), "COLUMNS": "200"}

    with setting.kernel.inside("here"):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    said, result = done.stdout + done.stderr, json.loads((out / "result.json").read_text())
    assert result["outcome"]["status"] == "finished", said
    assert done.returncode == 0, said
    assert "not-achieved" not in {each["verdict"] for each in result["fidelity"]}
    *phases, drain = read(out, Phase)
    assert [each.name for each in phases] == ["baseline", "slow", "recovery"] * (1 + phases[-1].round), said
    assert drain.begin - phases[0].begin < 20 * SECOND, said
    assert not read(out, Look)[-1].undecided
    assert "of at most 5: intervals at" in said
    journal = (out / "journal.jsonl").read_bytes()
    assert b"chaos-down" in journal
    assert b'"type":"restored"' in journal
    assert "CAP_NET_RAW" in done.stdout
    assert not (out / CAPTURE).exists()
    assert setting.looks() == before


@only_v4_cable
def test_a_resumed_suite_restores_the_interface_first(setting: Setting, tmp_path: Path) -> None:
    """The suite, its run, the conductor and the watchdog are killed together, so the fault stays. `--resume` takes it
    away, runs the experiment again, and leaves everything as it was."""
    before, out = setting.looks(), tmp_path / "out"
    (tmp_path / "aimed.yaml").write_text(DECIDED.format(host=setting.url_host, length="2s", baseline="1s"))
    (tmp_path / "gameday.yaml").write_text("name: small\nexperiments: [aimed.yaml]\n")
    words = ("gameday", str(tmp_path / "gameday.yaml"), "--out", str(out))
    others = frozenset(processes())
    killed = start(setting, *words)
    until(lambda: killed.poll() is not None or any(each.name == "slow" for each in read(out / "aimed", Phase)))
    for sign in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none puts anything back when another dies
        for pid in processes(others):
            kill(pid, sign)
    killed.ended()
    until(lambda: not list(processes(others)))
    assert setting.is_touched()

    code, said = start(setting, *words, "--resume").ended()

    result = json.loads((out / "aimed" / "result.json").read_text())
    assert result["outcome"]["status"] == "finished", said
    assert code == 0, said
    assert setting.looks() == before

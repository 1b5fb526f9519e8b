"""The timeline: every phase at its moment, every knob as planned, nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from chaoskit.clock import Clock, ManualClock
from chaoskit.conduct.timeline import TimelineRunner
from chaoskit.conduct.worker import Worker
from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.errors import RefusedError
from chaoskit.host_lookups import HostLookups
from chaoskit.kernel.fake import FakeKernel
from chaoskit.knobs import Change, Knob, Mtu, Namespace, Netem, Process, Pulse, Setting, Sysctl
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.records.jsonl import read
from chaoskit.records.model import Counters, Hop, Phase
from chaoskit.spec.load import parse

FILE = """\
name: x
question: x?
stage: {lab: edge}
workload: {request-rate: 4/s, output-tokens: 5}
faults:
  slow: {link: client-router, direction: down, netem: {delay: 30ms}}
  tuned: {node: client, sysctl: {net.ipv4.tcp_slow_start_after_idle: 0}}
timeline: [{baseline: 2s}, {slow: 3s}, {slow+tuned: 2s}, {recovery: 2s}]
repeats: 2
"""
QUEUE = Knob("qdisc", "router", "to-client")
PARAMETER = Knob("sysctl", "client", "net.ipv4.tcp_slow_start_after_idle")
SECOND = 10**9


class SlowKernel(FakeKernel):
    """Each write takes `cost` ns of the clock."""

    clock: ManualClock
    cost: int = 0

    def write(self, knob: Knob, setting: Setting) -> None:
        """Take the time, then do it."""
        self.clock.sleep_until(self.clock.now() + self.cost)
        super().write(knob, setting)


class Forgetful(SlowKernel):
    """Does not tell which distribution table is loaded, as real ones do not."""

    def holds(self, setting: Setting) -> Setting:
        """Without the table."""
        return replace(setting, distribution=None) if isinstance(setting, Netem) else setting

    def read(self, knob: Knob) -> Setting:
        """Without the table."""
        return self.holds(super().read(knob))


class Endless(Worker):
    """A child that lives until the clock says so."""

    def __init__(self, clock: ManualClock, until: int) -> None:
        self._clock, self._until = clock, until

    @property
    def is_alive(self) -> bool:
        """Whether its time has come."""
        return self._clock.now() < self._until

    def stop(self, clock: Clock, patience: int = 0) -> None:
        """Nothing to stop."""


class Failed(Endless):
    """A child that died."""

    @property
    def is_alive(self) -> bool:
        """Says why."""
        raise RefusedError("the probe ended early: no sockets")


@pytest.fixture
def plan() -> Plan:
    """Two rounds of four phases."""
    return compile_plan(parse(FILE, "x.yaml"))


@pytest.fixture
def clock() -> ManualClock:
    """Starts at zero."""
    return ManualClock()


@pytest.fixture
def kernel(clock: ManualClock) -> SlowKernel:
    """The parameter has a value before anything starts."""
    kernel = SlowKernel({PARAMETER: Sysctl("1")})
    kernel.clock = clock
    return kernel


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """In the run directory."""
    with Journal.at(tmp_path) as journal:
        yield journal


def walk(plan: Plan, run: Path, kernel: SlowKernel, journal: Journal, child: Endless) -> None:
    """Through all phases from 1 s on."""
    with TimelineRunner(plan, run, kernel, journal, kernel.clock) as timeline:
        timeline.run(SECOND, child)


def build_and_walk(plan: Plan, run: Path, kernel: SlowKernel, journal: Journal) -> None:
    """The stage first, then all phases."""
    for change in plan.stage:
        apply(kernel, journal, (change.knob, change.setting))
    walk(plan, run, kernel, journal, Endless(kernel.clock, 20 * SECOND))


def test_a_change_that_ends_before_its_phase_is_put_back_on_time(
    tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """At the tick, through the journal, and the end of the phase finds nothing to do."""
    crash = "{host: server, process: killed, restart-after: 1500ms}"
    text = FILE.replace("  tuned: {node: client, sysctl: {net.ipv4.tcp_slow_start_after_idle: 0}}", f"  crash: {crash}")
    plan = compile_plan(parse(text.replace("tuned", "crash").replace("repeats: 2", ""), "x.yaml"))
    program, moments = Knob("process", "server", "program"), list[tuple[int, Setting]]()
    kernel.settings[program] = Process()
    write = kernel.write

    def noted(knob: Knob, setting: Setting) -> None:
        write(knob, setting)
        if knob == program:
            moments.append((clock.now() // 10**8, setting))

    kernel.write = noted  # type: ignore[method-assign]

    walk(plan, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    assert moments == [(60, Process("killed")), (75, Process())]
    assert restore(kernel, journal) == []
    assert kernel.read(program) == Process()


def test_phases_begin_and_end_at_their_planned_moments(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """Two rounds of 2, 3, 2 and 2 seconds, one after the other from the start, then the drain."""
    walk(plan, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    phases = read(tmp_path, Phase)

    assert [(p.name, p.round, p.begin // SECOND, p.until // SECOND) for p in phases[:-1]] == [
        ("baseline", 0, 1, 3),
        ("slow", 0, 3, 6),
        ("slow+tuned", 0, 6, 8),
        ("recovery", 0, 8, 10),
        ("baseline", 1, 10, 12),
        ("slow", 1, 12, 15),
        ("slow+tuned", 1, 15, 17),
        ("recovery", 1, 17, 19),
    ]
    assert phases[-1].name == "drain"
    assert phases[-1].begin == 19 * SECOND


def test_a_slow_change_shortens_its_own_phase_and_no_other(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """Writes of 200 ms delay `ready`, never the next phase."""
    kernel.cost = SECOND // 5

    walk(plan, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))
    slow = read(tmp_path, Phase)[1]
    tuned = read(tmp_path, Phase)[2]

    assert slow.ready - slow.begin == SECOND // 5
    assert slow.until == tuned.begin == 6 * SECOND


def test_phases_are_in_order_however_late_they_are(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal
) -> None:
    """A machine that takes longer for a change than a phase lasts enters all of them, and ends last."""
    kernel.cost = 4 * SECOND
    for change in plan.stage:
        apply(kernel, journal, (change.knob, change.setting))
    walk(plan, tmp_path, kernel, journal, Endless(kernel.clock, 10**12))

    begins = [phase.begin for phase in read(tmp_path, Phase)]
    assert len(begins) == 9
    assert begins == sorted(begins)


def test_every_phase_sets_its_knobs_and_no_more(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """A knob is written when its value changes; without a fault it is what the stage left, last set first."""
    walk(plan, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    one_round: list[Change] = [
        (knob, setting if isinstance(setting, Sysctl | None) else None) for knob, setting in kernel.writes
    ]

    assert [knob for knob, _ in one_round] == [QUEUE, PARAMETER, PARAMETER, QUEUE] * 2
    assert [s for k, s in one_round if k == PARAMETER] == [Sysctl("0"), Sysctl("1")] * 2
    assert [isinstance(s, Netem) for k, s in kernel.writes if k == QUEUE] == [True, False] * 2


def test_pulses_come_with_every_phase(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """Each phase does its own, in their order, once its knobs are set."""
    pulses = (Pulse("flush-pmtu", "client"), Pulse("flush-pmtu", "server"))
    phases = tuple(phase.model_copy(update={"pulses": pulses}) for phase in plan.phases)

    walk(plan.model_copy(update={"phases": phases}), tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    assert kernel.pulses == [*pulses] * len(phases)


def test_counters_are_taken_every_second_and_at_every_change(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """While a queue is there, its counters carry the phase that was in force."""
    walk(plan, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    samples = [c for c in read(tmp_path, Counters) if c.round == 0]

    assert {c.phase for c in samples} == {"slow", "slow+tuned"}
    assert len([c for c in samples if c.phase == "slow"]) >= 4


def test_sizes_are_counted_at_a_phases_ends(
    tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """Filters while they are there, the router always: twice in each phase, and in the drain."""
    hole = "slow: {direction: up, pmtu: {mtu: 1400, signal: dropped}}"
    narrow = compile_plan(parse(FILE.replace(FILE.splitlines()[5].strip(), hole), "x.yaml"))
    kernel.settings[Knob("namespace", "", "router")] = Namespace()

    walk(narrow, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    first = [(each.phase, each.kind) for each in read(tmp_path, Counters) if each.round == 0]
    assert first == [("slow", "filter")] * 4 + [("slow+tuned", "filter")] * 4
    phases = [(phase.name, phase.round) for phase in read(tmp_path, Phase)]
    assert [(each.phase, each.round) for each in read(tmp_path, Hop)] == [each for each in phases for _ in range(2)]


def test_both_ends_of_a_link_that_changes_are_looked_at(
    tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """Either may become the smaller one: twice in each phase, and in the drain; no interface of somebody else's is."""
    jumbo = "slow: {link: router-server, end: server, mtu: 9000}"
    plan = compile_plan(parse(FILE.replace(FILE.splitlines()[5].strip(), jumbo), "x.yaml"))
    both = Knob("mtu", "server", "eth0"), Knob("mtu", "router", "to-server")
    kernel.settings |= {knob: Mtu(1500) for knob in (*both, Knob("mtu", "", "eth0"))}

    walk(plan, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    phases = [(phase.name, phase.round) for phase in read(tmp_path, Phase)]
    for knob in both:
        seen = [
            (each.phase, each.round)
            for each in read(tmp_path, Counters)
            if (each.place, each.name) == (knob.place, knob.name)
        ]
        assert seen == [each for each in phases for _ in range(2)]
    assert {each.place for each in read(tmp_path, Counters)} == {"server", "router"}


def test_a_wide_router_is_not_looked_at(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """Without a fault that makes it narrow."""
    kernel.settings[Knob("namespace", "", "router")] = Namespace()

    walk(plan, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    assert read(tmp_path, Hop) == []


def test_a_dead_child_ends_the_walk_at_once(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """What the child said is what the run says."""
    with pytest.raises(RefusedError, match="no sockets"):
        walk(plan, tmp_path, kernel, journal, Failed(clock, 0))

    assert clock.now() < 2 * SECOND


def test_a_probe_may_end_with_the_last_phase(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """Its last stream may be over at the very moment at which the timeline is."""
    walk(plan, tmp_path, kernel, journal, Endless(clock, 19 * SECOND))

    assert read(tmp_path, Phase)[-1].name == "drain"


def test_the_drain_ends_with_the_last_stream_or_with_its_time(
    plan: Plan, tmp_path: Path, kernel: SlowKernel, journal: Journal, clock: ManualClock
) -> None:
    """A probe that never ends is waited for no longer than the plan's drain and a few seconds."""
    walk(plan, tmp_path, kernel, journal, Endless(clock, 10**15))

    assert clock.now() < 19 * SECOND + plan.drain + 6 * SECOND


def test_a_failed_write_anywhere_is_put_back_entirely(plan: Plan, tmp_path: Path, clock: ManualClock) -> None:
    """Whichever write of the stage or the walk fails, restoring leaves the kernel as it was found."""
    before = {PARAMETER: Sysctl("1")}
    for fail_at in range(1, len(plan.stage) + 9):
        kernel = SlowKernel(dict(before), fail_at=[fail_at], failure=RefusedError("no"))
        kernel.clock = ManualClock()
        run = tmp_path / str(fail_at)
        run.mkdir()

        with Journal.at(run) as journal:
            with pytest.raises(RefusedError, match="no"):
                build_and_walk(plan, run, kernel, journal)
            leftovers = restore(kernel, journal)

        assert leftovers == []
        assert kernel.settings == before


def test_phases_that_differ_in_what_no_kernel_tells_are_both_set(tmp_path: Path, clock: ManualClock) -> None:
    """Two faults that read back alike, apart in their distribution table alone, are two writes."""
    shaky = "{delay: 30ms, jitter: 5ms, distribution: %s, rate: 1gbit}"
    file = FILE.replace("{delay: 30ms}", shaky % "normal").replace(
        "  tuned:", f"  other: {{link: client-router, direction: down, netem: {shaky % 'pareto'}}}\n  tuned:"
    )
    plan = compile_plan(parse(file.replace("{slow+tuned: 2s}", "{other: 2s}"), "x.yaml"))
    kernel = Forgetful()
    kernel.clock = clock

    with Journal.at(tmp_path) as journal:
        walk(plan, tmp_path, kernel, journal, Endless(clock, 20 * SECOND))

    written = [setting.distribution for _, setting in kernel.writes if isinstance(setting, Netem)]
    assert written == ["normal", "pareto"] * 2


REAL = FILE.replace("stage: {lab: edge}", 'stage: {target: "http://192.0.2.7"}').replace("link: client-router, ", "")
REAL = REAL.replace("  tuned: {node: client, sysctl: {net.ipv4.tcp_slow_start_after_idle: 0}}\n", "")
REAL = REAL.replace("{slow+tuned: 2s}, ", "")


class Vanishing(SlowKernel):
    """An interface that is gone from some moment on, with all that hung on it."""

    gone_at: int = 10**18

    def read(self, knob: Knob) -> Setting:
        """Nothing, once it is gone."""
        return None if "eth0" in knob.name and self.clock.now() >= self.gone_at else super().read(knob)


def on_interface(run: Path, kernel: SlowKernel, journal: Journal, renewals: list[int]) -> None:
    """The whole of a small experiment on eth0, noting when the lease was renewed."""
    plan = compile_plan(parse(REAL, "x.yaml"), HostLookups("eth0"))
    for change in plan.stage:
        apply(kernel, journal, (change.knob, change.setting))
    clock = kernel.clock
    with TimelineRunner(plan, run, kernel, journal, clock) as timeline:
        timeline.run(SECOND, Endless(clock, 30 * SECOND), lambda: renewals.append(clock.now()))


def test_the_lease_is_renewed_all_along(tmp_path: Path, kernel: SlowKernel, journal: Journal) -> None:
    """From the first phase to the end of the drain, never a second passes without a sign of life."""
    renewals = [SECOND]

    on_interface(tmp_path, kernel, journal, renewals)

    assert kernel.clock.now() > 19 * SECOND
    assert max(after - before for before, after in pairwise([*renewals, kernel.clock.now()])) < SECOND


def test_an_interface_that_vanishes_ends_the_walk(tmp_path: Path, clock: ManualClock) -> None:
    """Within a second it is told by its name, and what is left of the stage goes as ever."""
    kernel = Vanishing({})
    kernel.clock, kernel.gone_at = clock, 5 * SECOND

    with Journal.at(tmp_path) as journal:
        with pytest.raises(RefusedError, match=r"eth0 was removed during the run.*ip -d link show eth0"):
            on_interface(tmp_path, kernel, journal, [])
        assert clock.now() < 7 * SECOND
        kernel.settings = {knob: held for knob, held in kernel.settings.items() if "eth0" not in knob.name}
        assert restore(kernel, journal) == []
    assert kernel.settings == {}

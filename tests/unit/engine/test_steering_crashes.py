"""Steering, interrupted at every point: nothing of chaoskit is left, and foreign settings stay."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chaoskit.engine.apply_restore import Leftover, apply, examine, restore
from chaoskit.engine.journal import FILE, Journal
from chaoskit.errors import RefusedError
from chaoskit.kernel.fake import FakeKernel, PowerCut
from chaoskit.knobs import Change, Clsact, Filter, Foreign, Ifb, Knob, Link, MatchAll, Netem, Setting
from chaoskit.topology.steering import Remote, TrafficSelector, steer

LINK = Knob("link", "", "eth0")
CLSACT = Knob("clsact", "", "eth0")
THEIR_FILTER = Knob("filter", "", "eth0 egress 1")
BARE: dict[Knob, Setting] = {LINK: Link(True, 1500, 65535)}
SHARED = BARE | {CLSACT: Clsact(), THEIR_FILTER: Filter("all", MatchAll(), "their-ifb")}
SELECTOR = TrafficSelector((Remote("10.0.0.2/32", 443),), protocol="tcp")
PHASES: tuple[Change, ...] = (
    *steer("eth0", SELECTOR, {"up": Netem(delay=1), "down": None}, "flower"),
    (Knob("qdisc", "", "chaos-down"), Netem(delay=2)),
    (Knob("qdisc", "", "chaos-up"), None),
    (Knob("qdisc", "", "chaos-up"), Netem(delay=3)),
)
WRITES = len(PHASES)


@pytest.fixture(params=[BARE, SHARED], ids=["bare", "shared"])
def before(request: pytest.FixtureRequest) -> dict[Knob, Setting]:
    """An interface used by chaoskit alone, and one with a clsact and a filter of others."""
    return dict(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], Path]:
    """A new folder at each call."""
    numbers = count()

    def new() -> Path:
        made = tmp_path / str(next(numbers))
        made.mkdir()
        return made

    return new


def play(kernel: FakeKernel, here: Path) -> None:
    """Examine, apply every change, restore."""
    with Journal.at(here) as journal:
        examine(kernel, PHASES)
        for change in PHASES:
            apply(kernel, journal, change)
        assert restore(kernel, journal) == []


def recover(settings: dict[Knob, Setting], here: Path, **oddities: Any) -> tuple[FakeKernel, list[Leftover]]:
    """A watchdog, or `chaoskit restore`, on what was left behind."""
    kernel = FakeKernel(settings=dict(settings), **oddities)
    with Journal.at(here) as journal:
        return kernel, restore(kernel, journal)


def test_a_cut_at_any_write_and_one_in_its_restore_leave_nothing(
    before: dict[Knob, Setting], folder: Callable[[], Path]
) -> None:
    """Dark at any write; dark again at any write of the restore of that: the third process puts all back."""
    uncut = FakeKernel(settings=dict(before))
    play(uncut, folder())
    assert uncut.settings == before
    cases = 0

    for first in range(1, uncut.attempts + 1):
        for when in ("lose_power_before", "lose_power_after"):
            for second in count(1):
                here, kernel = folder(), FakeKernel(settings=dict(before), **{when: first})  # type: ignore[arg-type]
                with pytest.raises(PowerCut):
                    play(kernel, here)
                kernel = FakeKernel(settings=kernel.settings, lose_power_after=second)
                was_cut = False
                try:
                    with Journal.at(here) as journal:
                        restore(kernel, journal)
                except PowerCut:
                    was_cut = True
                last, left = recover(kernel.settings, here)
                assert (last.settings, left) == (before, []), (first, when, second)
                cases += 1
                if not was_cut:
                    break
    assert cases > 200


def test_any_byte_of_the_journal_may_be_the_last(before: dict[Knob, Setting], folder: Callable[[], Path]) -> None:
    """Whatever part of the journal was written, with every state the kernel can then be in, all goes back."""
    here, there, kernel = folder(), folder(), FakeKernel(settings=dict(before))
    states = [dict(kernel.settings)]
    with Journal.at(here) as journal:
        for change in PHASES:
            apply(kernel, journal, change)
            states.append(dict(kernel.settings))
    raw = (here / FILE).read_bytes()

    for cut in range(len(raw) + 1):
        begun, ended = (raw[:cut].count(b'"type":"%s"}\n' % kind) for kind in (b"intent", b"done"))
        for state in states[ended : begun + 1]:
            (there / FILE).write_bytes(raw[:cut])
            kernel, left = recover(state, there)
            assert (kernel.settings, left) == (before, []), cut


def test_a_refusal_at_any_write_leaves_nothing(before: dict[Knob, Setting], folder: Callable[[], Path]) -> None:
    """Any write of the changes fails: all before it goes back. Any of the restore: a second restore does that one."""
    for number in range(1, 2 * WRITES):
        here = folder()
        kernel = FakeKernel(settings=dict(before), fail_at=[number], failure=RefusedError("no"))
        with Journal.at(here) as journal:
            try:
                for change in PHASES:
                    apply(kernel, journal, change)
            except RefusedError:
                assert number <= WRITES
            restore(kernel, journal)
            assert restore(kernel, journal) == []

        assert kernel.settings == before, number


def test_a_foreign_change_between_any_two_steps_survives(
    before: dict[Knob, Setting], folder: Callable[[], Path]
) -> None:
    """After any change another program sets, or removes, a knob that was set: its value stays, the rest is restored."""
    for number in range(1, WRITES + 1):
        for victim in dict.fromkeys(knob for knob, _ in PHASES[:number]):
            for theirs in (Foreign("theirs"), None):
                kernel, here = FakeKernel(settings=dict(before)), folder()
                with Journal.at(here) as journal:
                    for change in PHASES[:number]:
                        apply(kernel, journal, change)
                    was_ours = journal.pending_for(victim) is not None
                    kernel.settings.pop(victim, None) if theirs is None else kernel.settings.update({victim: theirs})
                    left = restore(kernel, journal)

                expected = dict(before)
                if theirs is not None or not was_ours:
                    expected.pop(victim, None)
                    expected |= {} if theirs is None else {victim: theirs}
                assert kernel.settings == expected, (number, victim, theirs)
                assert {each.pending.knob for each in left} <= {victim}
                assert bool(left) == (theirs is not None and was_ours)


def test_what_could_not_be_put_back_is_refused_before_the_first_change(before: dict[Knob, Setting]) -> None:
    """Examining names each: others' things, a link's IPv6 lost below 1280, a link taken down; and writes nothing."""
    cases: list[tuple[dict[Knob, Setting], Change, str]] = [
        (
            {Knob("qdisc", "", "eth0"): Foreign("htb")},
            (Knob("qdisc", "", "eth0"), Netem()),
            "a htb that chaoskit did not create",
        ),
        (
            {Knob("qdisc", "", "eth0"): Netem()},
            (Knob("qdisc", "", "eth0"), Netem(delay=1)),
            "a netem that chaoskit did not create",
        ),
        ({Knob("ifb", "", "chaos-up"): Ifb()}, (Knob("ifb", "", "chaos-up"), Ifb()), "chaoskit restore"),
        ({}, (LINK, Link(True, 1279, 65535)), "IPv6 addresses at an MTU of 1279"),
        ({}, (LINK, Link(False, 1500, 65535)), "is set down"),
    ]

    for there, change, says in cases:
        kernel = FakeKernel(settings=before | there)
        with pytest.raises(RefusedError, match=says):
            examine(kernel, [*PHASES[:1], change] if change[0].name != "chaos-up" else [change])
        assert kernel.attempts == 0


def test_what_can_be_put_back_is_not_refused(before: dict[Knob, Setting]) -> None:
    """An MTU of 1280, a clsact of others, links and queues of our own."""
    examine(FakeKernel(settings=before), [*PHASES, (LINK, Link(True, 1280, 65535))])

"""Apply and restore, on a kernel that refuses, loses power, or is changed by others, at every possible point."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from chaoskit.engine import apply_restore
from chaoskit.engine import journal as journal_module
from chaoskit.engine.apply_restore import apply, examine, restore
from chaoskit.engine.describe import show
from chaoskit.engine.journal import FILE, Journal
from chaoskit.errors import RefusedError
from chaoskit.kernel.fake import FakeKernel, PowerCut
from chaoskit.knobs import Change, Clamp, Foreign, Ifb, Knob, Link, Namespace, Netem, Setting, Sysctl

FORWARD = Knob("sysctl", "", "net.ipv4.ip_forward")
LINK = Knob("link", "", "eth0")
IFB = Knob("ifb", "", "ifb0")
ROOT = Knob("qdisc", "", "eth0")
BEFORE: dict[Knob, Setting] = {FORWARD: Sysctl("0"), LINK: Link(True, 1500, 65535)}
PHASES: tuple[Change, ...] = (
    (FORWARD, Sysctl("1")),
    (LINK, Link(True, 1400, 1)),
    (IFB, Ifb()),
    (ROOT, Netem(delay=1)),
    (ROOT, Netem(delay=2)),
    (ROOT, None),
    (ROOT, Netem(delay=3)),
    (FORWARD, Sysctl("0")),
)
AFTER: dict[Knob, Setting] = {
    FORWARD: Sysctl("0"),
    LINK: Link(True, 1400, 1),
    IFB: Ifb(),
    ROOT: Netem(delay=3),
}


def machine(**oddities: Any) -> FakeKernel:
    return FakeKernel(settings=dict(BEFORE), **oddities)


def play(kernel: FakeKernel, run: Path) -> None:
    """Apply every change, then restore."""
    with Journal.at(run) as journal:
        for change in PHASES:
            apply(kernel, journal, change)
        assert restore(kernel, journal) == []


def recover(settings: dict[Knob, Setting], run: Path) -> FakeKernel:
    """A new process on the machine that this one left behind puts everything back."""
    kernel = FakeKernel(settings=dict(settings))
    with Journal.at(run) as journal:
        assert restore(kernel, journal) == []
        assert journal.pending() == []
    return kernel


def folders(tmp_path: Path) -> Callable[[], Path]:
    """A new run directory at each call."""
    numbers = count()

    def new() -> Path:
        run = tmp_path / str(next(numbers))
        run.mkdir()
        return run

    return new


def test_what_is_applied_is_there_and_what_is_restored_is_not(tmp_path: Path) -> None:
    """After the changes the knobs hold them; after the restore, exactly what they held before."""
    kernel = machine()
    with Journal.at(tmp_path) as journal:
        for change in PHASES:
            apply(kernel, journal, change)
        assert kernel.settings == AFTER

        leftovers = restore(kernel, journal)

    assert leftovers == []
    assert kernel.settings == BEFORE


def test_knobs_are_put_back_in_reverse(tmp_path: Path) -> None:
    """The knob touched last is put back first, and each goes straight to its first value."""
    kernel = machine()

    play(kernel, tmp_path)

    assert kernel.writes[len(PHASES) :] == [(ROOT, None), (IFB, None), (LINK, BEFORE[LINK])]


def test_a_second_restore_does_nothing(tmp_path: Path) -> None:
    """Once everything is back, restoring again writes nothing."""
    kernel = machine()
    play(kernel, tmp_path)
    writes = len(kernel.writes)

    recover(kernel.settings, tmp_path)
    with Journal.at(tmp_path) as journal:
        restore(kernel, journal)

    assert len(kernel.writes) == writes


def test_a_power_cut_at_any_write_is_put_right(tmp_path: Path) -> None:
    """Dark before or after any write, of the changes or of the restore: the next process puts all back."""
    run = folders(tmp_path)
    uncut = machine()
    play(uncut, run())

    for number in range(1, uncut.attempts + 1):
        for when in ("lose_power_before", "lose_power_after"):
            here, kernel = run(), machine(**{when: number})
            with pytest.raises(PowerCut):
                play(kernel, here)

            assert recover(kernel.settings, here).settings == BEFORE, (when, number)


def test_a_power_cut_at_any_byte_of_the_journal_leaves_nothing_unrestored(tmp_path: Path) -> None:
    """Whatever part of the journal reached the disk, with every state the machine can then have been in."""
    run = folders(tmp_path)
    here, there, kernel = run(), run(), machine()
    states = [dict(kernel.settings)]
    with Journal.at(here) as journal:
        for change in PHASES[1:6]:
            apply(kernel, journal, change)
            states.append(dict(kernel.settings))
    raw = (here / FILE).read_bytes()

    for cut in range(len(raw) + 1):
        begun, ended = (raw[:cut].count(b'"type":"%s"}\n' % kind) for kind in (b"intent", b"done"))
        for state in states[ended : begun + 1]:  # with a write begun and not ended, it happened or did not
            (there / FILE).write_bytes(raw[:cut])
            assert recover(state, there).settings == BEFORE, (cut, state)


def test_a_refusal_at_any_change_is_put_right(tmp_path: Path) -> None:
    """When the kernel refuses the n-th write, apply says so, and a restore puts back the n-1 before it."""
    run = folders(tmp_path)

    for number in range(1, len(PHASES) + 1):
        here, kernel = run(), machine(fail_at=[number], failure=RefusedError("no"))
        with pytest.raises(RefusedError, match="no"):
            play(kernel, here)

        assert recover(kernel.settings, here).settings == BEFORE, number


def test_a_refusal_at_any_restore_does_not_stop_the_others(tmp_path: Path) -> None:
    """The knob that cannot be put back is named with what to type; all others are back; a retry restores it."""
    run = folders(tmp_path)

    for step, knob in enumerate((ROOT, IFB, LINK), 1):
        here, kernel = run(), machine(fail_at=[len(PHASES) + step], failure=RefusedError("not now"))
        with Journal.at(here) as journal:
            for change in PHASES:
                apply(kernel, journal, change)
            leftovers = restore(kernel, journal)

            assert [leftover.pending.knob for leftover in leftovers] == [knob]
            assert "not now; to restore it: sudo " in str(leftovers[0])
            assert kernel.settings == BEFORE | {knob: AFTER[knob]}

            assert restore(kernel, journal) == []
            assert kernel.settings == BEFORE


def test_an_error_that_is_no_refusal_does_not_stop_the_others(tmp_path: Path) -> None:
    """An interrupt or a defect in one knob's restore comes out only after all the others are back."""
    run = folders(tmp_path)

    for failure in (KeyboardInterrupt(), ZeroDivisionError()):
        here, kernel = run(), machine(fail_at=[len(PHASES) + 1], failure=failure)
        with pytest.raises(type(failure)):
            play(kernel, here)

        assert kernel.settings == BEFORE | {ROOT: AFTER[ROOT]}
        assert recover(kernel.settings, here).settings == BEFORE


def test_an_interrupt_at_any_line_is_put_right(tmp_path: Path) -> None:
    """Ctrl-C at any line of the engine, in a change or in the restore, leaves a journal that restores."""
    run = folders(tmp_path)
    lines = Interrupt(at=None)
    with lines:
        play(machine(), run())
    assert lines.seen > 200

    for number in range(1, lines.seen + 1):
        here, kernel = run(), machine()
        with pytest.raises(KeyboardInterrupt), Interrupt(at=number):
            play(kernel, here)

        assert recover(kernel.settings, here).settings == BEFORE, number


def test_a_foreign_change_is_left_alone(tmp_path: Path) -> None:
    """A knob changed by others after us keeps their value, is reported with both, and stays pending."""
    run = folders(tmp_path)
    theirs: dict[Knob, Setting] = {LINK: Link(False, 9000, 2), IFB: None, ROOT: Foreign("fq")}

    for knob, setting in theirs.items():
        here, kernel = run(), machine()
        with Journal.at(here) as journal:
            for change in PHASES:
                apply(kernel, journal, change)
            kernel.settings[knob] = setting
            leftovers = restore(kernel, journal)
            pending = [entry.knob for entry in journal.pending()]

        if setting is None:  # what they took away is as it was before us
            assert (leftovers, pending) == ([], [])
            continue
        assert pending == [knob]
        assert [leftover.pending.knob for leftover in leftovers] == [knob]
        assert show(setting) in str(leftovers[0])
        assert show(AFTER[knob]) in str(leftovers[0])
        assert kernel.settings == BEFORE | {knob: setting}


def test_a_foreign_change_during_the_run_is_refused(tmp_path: Path) -> None:
    """A knob that no longer holds what we set is not set again."""
    kernel = machine()
    with Journal.at(tmp_path) as journal:
        apply(kernel, journal, (ROOT, Netem(delay=1)))
        kernel.settings[ROOT] = Netem(delay=77)

        with pytest.raises(RefusedError, match="another program"):
            apply(kernel, journal, (ROOT, Netem(delay=2)))

    assert kernel.settings[ROOT] == Netem(delay=77)


def test_a_foreign_qdisc_is_refused_before_anything_happens(tmp_path: Path) -> None:
    """Where a foreign qdisc is, nothing is written, neither to the kernel nor to the journal."""
    kernel = machine()
    kernel.settings[ROOT] = Foreign("htb")
    with Journal.at(tmp_path) as journal, pytest.raises(RefusedError, match="htb"):
        apply(kernel, journal, (ROOT, Netem()))

    assert kernel.attempts == 0
    assert (tmp_path / FILE).read_bytes() == b""


def test_an_existing_clamp_is_refused() -> None:
    """Chaoskit's clamps end with their process: an existing one is foreign, and the message has the command."""
    knob = Knob("clamp", "", "mss")
    kernel = FakeKernel({knob: Clamp(1360)})

    with pytest.raises(RefusedError, match="sudo nft delete table inet chaoskit-mss"):
        examine(kernel, [(knob, Clamp(1300))])


def test_taking_away_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    """A knob that is not there and shall not be is neither written nor pending."""
    kernel = machine()
    with Journal.at(tmp_path) as journal:
        apply(kernel, journal, (ROOT, None))

        assert journal.pending() == []
    assert kernel.attempts == 0


@dataclass
class DeafKernel(FakeKernel):
    """Says yes to every write, and rounds delays to even numbers."""

    deaf: set[Knob] = field(default_factory=set)

    def holds(self, setting: Setting) -> Setting:
        return Netem(delay=setting.delay // 2 * 2) if isinstance(setting, Netem) else setting

    def write(self, knob: Knob, setting: Setting) -> None:
        if knob in self.deaf:
            self.attempts += 1
        else:
            super().write(knob, self.holds(setting))


def test_what_does_not_read_back_is_refused(tmp_path: Path) -> None:
    """A change that the kernel accepts and does not carry out names what was asked and what is there."""
    kernel = DeafKernel(settings=dict(BEFORE), deaf={LINK})
    with Journal.at(tmp_path) as journal:
        with pytest.raises(RefusedError, match=r"set to .*mtu=1400.* and reads back .*mtu=1500"):
            apply(kernel, journal, (LINK, Link(True, 1400, 1)))

        assert restore(kernel, journal) == []
    assert kernel.settings == BEFORE


def test_what_does_not_go_back_is_reported(tmp_path: Path) -> None:
    """A restore that the kernel accepts and does not carry out is a leftover."""
    kernel = DeafKernel(settings=dict(BEFORE))
    with Journal.at(tmp_path) as journal:
        apply(kernel, journal, (LINK, Link(True, 1400, 1)))
        kernel.deaf = {LINK}

        (leftover,) = restore(kernel, journal)

    assert "mtu=1400" in leftover.reason


class VanishingKernel(FakeKernel):
    """Whatever is to be taken away has just gone by itself, so that the kernel refuses."""

    def write(self, knob: Knob, setting: Setting) -> None:
        """Refuse to take away what is not there any more."""
        super().write(knob, setting)
        if setting is None:
            raise RefusedError("No such device")


def test_what_goes_by_itself_is_put_back(tmp_path: Path) -> None:
    """A refusal to take away what has gone meanwhile leaves nothing pending."""
    kernel = VanishingKernel(settings=dict(BEFORE))
    with Journal.at(tmp_path) as journal:
        apply(kernel, journal, (IFB, Ifb()))

        assert restore(kernel, journal) == []
        assert journal.pending() == []


def test_read_back_is_compared_with_what_the_kernel_can_hold(tmp_path: Path) -> None:
    """A kernel that rounds as it said it would is neither refused nor taken for a foreign change."""
    kernel = DeafKernel(settings=dict(BEFORE))
    with Journal.at(tmp_path) as journal:
        apply(kernel, journal, (ROOT, Netem(delay=3)))
        apply(kernel, journal, (ROOT, Netem(delay=5)))

        assert restore(kernel, journal) == []
    assert kernel.settings == BEFORE


def test_what_was_in_a_namespace_that_is_gone_is_done(tmp_path: Path) -> None:
    """When the created namespaces ended with their process, nothing in them is pending, and nothing is written."""
    home, inside = Knob("namespace", "", "router"), Knob("sysctl", "router", "net.ipv4.ip_forward")
    kernel = FakeKernel(settings={inside: Sysctl("0")})
    with Journal.at(tmp_path) as journal:
        apply(kernel, journal, (home, Namespace()))
        apply(kernel, journal, (inside, Sysctl("1")))

    nothing_left = recover({}, tmp_path)

    assert nothing_left.attempts == 0


def test_a_knob_of_a_namespace_that_is_not_ours_is_put_back(tmp_path: Path) -> None:
    """Only a namespace that the journal made can have gone; any other knob is put back as usual."""
    inside = Knob("sysctl", "router", "net.ipv4.ip_forward")
    kernel = FakeKernel(settings={inside: Sysctl("0")})
    with Journal.at(tmp_path) as journal:
        apply(kernel, journal, (inside, Sysctl("1")))

        assert restore(kernel, journal) == []
    assert kernel.settings == {inside: Sysctl("0")}


def test_a_full_disk_does_not_stop_a_restore(tmp_path: Path) -> None:
    """Without room for the journal's last lines everything is put back all the same."""
    kernel = machine()

    class FullJournal(Journal):
        def restored(self, knob: Knob) -> None:
            raise RefusedError("no space left on device")

    with FullJournal.at(tmp_path) as journal:
        for change in PHASES:
            apply(kernel, journal, change)
        assert restore(kernel, journal) == []

    assert kernel.settings == BEFORE


class Interrupt:
    """Raises KeyboardInterrupt at the n-th line that the engine runs inside the block, or only counts them."""

    FILES = (journal_module.__file__, apply_restore.__file__)

    def __init__(self, at: int | None) -> None:
        self.at, self.seen = at, 0

    def __enter__(self) -> Interrupt:
        self._former = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._former)

    def _enter(self, frame: FrameType, event: str, _argument: object) -> Any:
        return self._line if frame.f_code.co_filename in self.FILES else None

    def _line(self, _frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            self.seen += 1
            if self.seen == self.at:
                raise KeyboardInterrupt
        return self._line

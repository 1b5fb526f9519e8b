"""What restore does with leases of living, dead and foreign owners, of other boots and of other namespaces."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from simulated_kernel import AFTER, BEFORE, CHANGES, FORWARD, LINK, LeaseHarness, SimulatedKernel, eventually, has_ended

from chaoskit.clock import ManualClock, RealClock
from chaoskit.conduct.lease_scope import HeldLease
from chaoskit.engine.apply_restore import apply
from chaoskit.engine.journal import FILE, Journal
from chaoskit.engine.lease import LEASE, Lease, Location
from chaoskit.engine.lock import Lock
from chaoskit.errors import RefusedError, SpecError
from chaoskit.knobs import Link
from chaoskit.programs import sudo


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[LeaseHarness]:
    """One."""
    harness = LeaseHarness(tmp_path / "bench")
    yield harness
    harness.close()


class Hasty(RealClock):
    """Fifty times as fast as ours for its first 25 s, in which owners are given up; then processes have time to end."""

    def __init__(self) -> None:
        self._begun = super().now()

    def now(self) -> int:
        """Nanoseconds since it was made."""
        passed = super().now() - self._begun
        return min(50 * passed, 25 * 10**9 + passed)

    def sleep_until(self, stamp: int) -> None:
        """As ever."""
        super().sleep_until(super().now() + (stamp - self.now()) // 50)


def owner(harness: LeaseHarness, heeds: bool = True, detaches: bool = False) -> int:
    """The pid of one that holds everything until SIGTERM asks it to end, and ends well then; or does not heed it."""
    waits = harness.folder / "waits"

    def hold(held: HeldLease[SimulatedKernel]) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if detaches:
            held.detach()
        waits.touch()
        signal.sigwait({signal.SIGTERM} if heeds else {signal.SIGUSR1})

    pid = harness.begun(hold)
    assert eventually(waits.exists)
    harness.watchdog()
    return pid


def writes(harness: LeaseHarness) -> list[str]:
    """Grows when restore itself, and none of the holders, writes to the kernel from now on."""
    written: list[str] = []
    harness.kernel = replace(harness.kernel, hook=written.append)
    return written


def ended(pid: int) -> int:
    """Its exit code; minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def left_by(harness: LeaseHarness, **other: str) -> Lease:
    """A lease whose processes are dead, with everything in force that its journal tells of."""
    here = Location.current()
    lease = Lease("dead", "inject", "a", "eth0", "2026-01-01T00:00:00", "2026-01-01T00:01:00", 0, {}, **vars(here))
    lease = replace(lease, **other)  # type: ignore[arg-type]
    harness.leases.begin(lease)
    with Journal.at(harness.leases.folder("dead")) as journal:
        for change in CHANGES:
            apply(harness.kernel, journal, change)
    return lease


def test_nothing_to_do_is_nothing_said(harness: LeaseHarness) -> None:
    """Without leases and without leftovers, restore is silent and well."""
    assert harness.restore() == []
    assert harness.said == []


def test_a_living_owner_puts_back_itself(harness: LeaseHarness) -> None:
    """The owner of a foreground lease is asked, and not killed: it ends as it would at its terminal; all is told."""
    pid = owner(harness)
    written = writes(harness)

    left = harness.restore()

    assert (left, written) == ([], [])
    assert harness.is_clean
    assert len(harness.said) == len(CHANGES)
    assert ended(pid) == 0


def test_an_owner_that_lost_its_watchdog_puts_back_itself(harness: LeaseHarness) -> None:
    """Without its watchdog it is asked all the same, and what it has put back is told."""
    pid = owner(harness)
    os.kill(harness.watchdog(), signal.SIGKILL)

    left = harness.restore()

    assert left == []
    assert harness.is_clean
    assert len(harness.said) == len(CHANGES)
    assert ended(pid) == 0


def test_a_frozen_owner_is_left_to_its_watchdog(harness: LeaseHarness) -> None:
    """An owner that stands still for three seconds is killed by its watchdog, which puts all back."""
    pid = owner(harness)
    os.kill(pid, signal.SIGSTOP)
    written = writes(harness)

    left = harness.restore(clock=Hasty())

    assert (left, written) == ([], [])
    assert harness.is_clean
    assert len(harness.said) == len(CHANGES)
    assert ended(pid) == -signal.SIGKILL


def test_an_owner_that_does_not_heed_is_left_to_its_watchdog(harness: LeaseHarness) -> None:
    """An owner that is at work and does not end within twenty seconds: the same."""
    pid = owner(harness, heeds=False)
    written = writes(harness)

    left = harness.restore(clock=Hasty())

    assert (left, written) == ([], [])
    assert harness.is_clean
    assert len(harness.said) == len(CHANGES)
    assert ended(pid) == -signal.SIGKILL


def test_frozen_owner_and_watchdog_are_killed(harness: LeaseHarness) -> None:
    """With both standing still, both are killed, and the lease is restored here."""
    pid, watchdog = owner(harness), harness.watchdog()
    for each in (watchdog, pid):
        os.kill(each, signal.SIGSTOP)

    left = harness.restore(clock=Hasty())

    assert left == []
    assert harness.is_clean
    assert len(harness.said) == len(CHANGES)
    assert ended(pid) == -signal.SIGKILL
    assert eventually(lambda: has_ended(watchdog))


def test_who_cannot_be_killed_is_told(harness: LeaseHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits for a device for ever: after a minute it is said, and the lease is there still."""
    pid = owner(harness)
    os.kill(harness.watchdog(), signal.SIGKILL)
    os.kill(pid, signal.SIGSTOP)
    send = signal.pidfd_send_signal
    monkeypatch.setattr(
        signal, "pidfd_send_signal", lambda fd, sign: None if sign == signal.SIGKILL else send(fd, sign)
    )

    with pytest.raises(
        RefusedError, match=rf"process {pid} was killed and has not ended \(state T\).*chaoskit restore"
    ):
        harness.restore(clock=ManualClock())

    assert harness.lease.owner is not None
    monkeypatch.undo()
    assert harness.restore(clock=Hasty()) == []
    assert harness.is_clean


def test_a_frozen_owner_without_a_watchdog_is_killed(harness: LeaseHarness) -> None:
    """With the watchdog dead and the owner standing still, the lease is restored here."""
    pid = owner(harness)
    os.kill(harness.watchdog(), signal.SIGKILL)
    os.kill(pid, signal.SIGSTOP)

    left = harness.restore(clock=Hasty())

    assert left == []
    assert harness.is_clean
    assert ended(pid) == -signal.SIGKILL


def test_an_owner_that_has_detached_is_no_owner(harness: LeaseHarness) -> None:
    """It may live on for a moment: its watchdog is asked too, and all is back."""
    pid = owner(harness, detaches=True)
    written = writes(harness)

    left = harness.restore(harness.lease.id)

    assert (left, written) == ([], [])
    assert harness.is_clean
    assert len(harness.said) == len(CHANGES)
    assert ended(pid) == 0


def test_what_an_owner_cannot_put_back_is_told_once(harness: LeaseHarness) -> None:
    """A knob that another program changed is reported once, and all the others as restored."""
    owner(harness)
    harness.kernel.fill(harness.kernel.settings | {LINK: Link(True, 9000, 2)})

    left = harness.restore()

    assert [each.startswith("link eth0: left as it is") for each in left] == [True]
    assert len(harness.said) == len(CHANGES) - 1
    assert harness.kernel.settings == BEFORE | {LINK: Link(True, 9000, 2)}


def test_a_lease_of_an_earlier_boot_is_closed(harness: LeaseHarness) -> None:
    """Nothing of it can be in the kernel any more: nothing is written, and it is said."""
    left_by(harness, boot="yesterday")
    harness.kernel.fill(BEFORE | {FORWARD: AFTER[FORWARD]})

    assert harness.restore() == []

    assert harness.said == ["lease dead is from an earlier boot and has no effect any more: closed"]
    assert harness.has_no_lease
    assert harness.kernel.settings == BEFORE | {FORWARD: AFTER[FORWARD]}


def test_a_lease_of_elsewhere_is_left_alone(harness: LeaseHarness) -> None:
    """Of another machine or network namespace: nothing is written, it stays, and it is said where it belongs."""
    for other in ({"machine": "theirs"}, {"namespace": "4711"}):
        left_by(harness, **other)
        harness.kernel.fill(AFTER)
        harness.said.clear()

        harness.restore("dead")

        assert len(harness.said) == 1
        assert "left alone" in harness.said[0]
        assert harness.kernel.settings == AFTER
        harness.leases.end("dead")


def test_a_lease_of_another_namespace_is_told_how_to_be_restored(harness: LeaseHarness) -> None:
    """With the option that enters the namespace; and with none where it is out of sight."""
    left_by(harness, namespace="4711")
    harness.kernel.fill(AFTER)
    for harness.way_in, advice in (
        ("--netns blue", f"{sudo()} restore --netns blue"),
        (None, "not visible from here"),
    ):
        harness.said.clear()

        assert harness.restore("dead") == []

        assert advice in harness.said[0]
        assert harness.leases.pending("dead")
    harness.leases.end("dead")


def test_a_lease_of_a_namespace_that_is_gone_is_void(harness: LeaseHarness) -> None:
    """It is closed in one sentence, and nothing is written."""
    left_by(harness, namespace="4711")
    harness.kernel.fill(AFTER)
    harness.way_in = ""

    assert harness.restore("dead") == []

    assert harness.said == ["lease dead: its network namespace is gone, and what it had changed with it: closed"]
    assert harness.has_no_lease
    assert harness.kernel.settings == AFTER


def test_one_lease_is_paid_by_name(harness: LeaseHarness) -> None:
    """The one that was named, and a name that no lease has is told with those that there are."""
    left_by(harness)

    with pytest.raises(SpecError, match=r"no lease 'nobody'; leases: dead"):
        harness.restore("nobody")
    assert harness.restore("dead") == []

    assert harness.is_clean


def test_a_torn_lease_is_paid_only_by_name(harness: LeaseHarness) -> None:
    """Cut at any byte, it is left over and told; named, it is restored here."""
    left_by(harness)
    path = harness.leases.folder("dead") / LEASE
    raw, journal = path.read_bytes(), (harness.leases.folder("dead") / FILE).read_bytes()

    for cut in range(0, len(raw) - 1):
        harness.leases.folder("dead").mkdir(exist_ok=True)
        path.write_bytes(raw[:cut])
        (harness.leases.folder("dead") / FILE).write_bytes(journal)
        harness.kernel.fill(AFTER)
        assert harness.restore("dead") == [], cut
        assert harness.is_clean, cut
    path.parent.mkdir()
    path.write_bytes(raw[:7])
    (path.parent / FILE).write_bytes(journal)

    assert [("incomplete" in each) for each in harness.restore()] == [True]

    assert not harness.has_no_lease


def test_a_torn_lease_hides_no_other(harness: LeaseHarness) -> None:
    """Beside one that cannot be read the others are restored; and one with nothing pending is removed."""
    left_by(harness)
    for name, journal in (("torn", b"hello\n"), ("young", b"")):
        harness.leases.folder(name).mkdir()
        (harness.leases.folder(name) / FILE).write_bytes(journal)

    left = harness.restore()

    assert len(left) == 1
    assert "was not written by chaoskit" in left[0]
    assert harness.kernel.settings == BEFORE
    assert [path.name for path in (harness.leases.state / "leases").iterdir()] == ["torn"]


def test_an_edited_journal_is_left_over(harness: LeaseHarness) -> None:
    """A journal with a line that chaoskit did not write is told by number, and nothing is guessed from it."""
    left_by(harness)
    path = harness.leases.folder("dead") / FILE
    path.write_bytes(b"hello\n" + path.read_bytes())

    left = harness.restore("dead")

    assert len(left) == 1
    assert "line 1 was not written by chaoskit" in left[0]
    assert not harness.has_no_lease


def test_a_holder_that_no_lease_names_is_not_disturbed(harness: LeaseHarness) -> None:
    """With the lock held by an unknown process, restore changes nothing and says who it is."""
    left_by(harness)

    with Lock.take(harness.lock), pytest.raises(RefusedError, match=f"process {os.getpid()} "):
        harness.restore()

    assert harness.kernel.settings == AFTER

"""Leases with owners and watchdogs that die: real processes and real signals, on a simulated kernel."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest
from simulated_kernel import (
    AFTER,
    BEFORE,
    CHANGES,
    LINK,
    ROOT,
    LeaseHarness,
    SimulatedKernel,
    eventually,
    has_ended,
    sleep,
)

from chaoskit.clock import boottime
from chaoskit.conduct.lease_scope import HeldLease, LeaseRequest, hold_lease
from chaoskit.engine import lock
from chaoskit.engine.lease import Lease, Process
from chaoskit.engine.lock import Holder
from chaoskit.engine.watchdog_process import NAME
from chaoskit.errors import CrashError, NotRestoredError, RefusedError
from chaoskit.knobs import Kernel, Link, Netem

SECOND = 10**9
Harnesses = Callable[[], LeaseHarness]


@pytest.fixture
def harnesses(tmp_path: Path) -> Iterator[Harnesses]:
    """A new bench at each call."""
    made: list[LeaseHarness] = []
    numbers = count()

    def new() -> LeaseHarness:
        made.append(LeaseHarness(tmp_path / str(next(numbers))))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def harness(harnesses: Harnesses) -> LeaseHarness:
    """One."""
    return harnesses()


@dataclass
class Death:
    """A hook: SIGKILL for the owner, or for its watchdog, at the n-th moment of its writes."""

    of_watchdog: bool
    at: int
    seen: int = 0

    def __post_init__(self) -> None:
        self.tester = os.getpid()

    def __call__(self, _moment: str) -> None:
        if (Path("/proc/self/comm").read_text().strip() == NAME) == self.of_watchdog and os.getpid() != self.tester:
            self.seen += 1
            if self.seen == self.at:
                os.kill(os.getpid(), signal.SIGKILL)


def test_all_is_back_after_the_body(harness: LeaseHarness) -> None:
    """What was changed in the body is as it was after it, and lease, lock and watchdog are gone."""
    seen: list[tuple[bool, Lease]] = []

    harness.hold(lambda _: seen.append((harness.kernel.settings == AFTER, harness.lease)))

    ((was_changed, lease),) = seen
    assert was_changed
    assert harness.is_clean
    assert not lock.is_taken(harness.lock)
    assert lease.watchdog is not None
    assert lease.watchdog.state == ""


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_a_killed_owner_is_cleaned_up_after_within_a_second(harness: LeaseHarness) -> None:
    """kill -9 of the owner: everything is back in less than a second, and the watchdog has ended."""
    owner = harness.begun()
    watchdog = harness.watchdog()

    os.kill(owner, signal.SIGKILL)
    struck = time.monotonic()

    assert eventually(lambda: harness.is_clean, 1.0), time.monotonic() - struck
    assert eventually(lambda: has_ended(watchdog) and not lock.is_taken(harness.lock))


def test_an_owner_killed_at_any_write_is_cleaned_up_after(harnesses: Harnesses) -> None:
    """kill -9 before or after any write of the owner, of its own restore too: the watchdog does the rest."""
    for at in range(1, 4 * len(CHANGES) + 1):
        harness = harnesses()

        owner = harness.begin(lambda _: None, Death(of_watchdog=False, at=at))

        assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == -signal.SIGKILL, at
        assert eventually(lambda harness=harness: harness.is_clean and not lock.is_taken(harness.lock)), at  # type: ignore[misc]


def test_a_watchdog_killed_at_any_write_leaves_it_to_restore(harnesses: Harnesses) -> None:
    """The owner dies, and its watchdog at any write of its restore: `chaoskit restore` does the rest."""
    for at in range(1, 2 * len(CHANGES) + 1):
        harness = harnesses()
        owner = harness.begin(lambda _: os.kill(os.getpid(), signal.SIGKILL), Death(of_watchdog=True, at=at))
        assert eventually(lambda owner=owner: has_ended(owner))  # type: ignore[misc]
        assert eventually(lambda harness=harness: not lock.is_taken(harness.lock))  # type: ignore[misc]
        assert not harness.has_no_lease

        left = harness.restore()

        assert left == []
        assert harness.is_clean, at


def test_owner_and_watchdog_killed_is_put_right_by_restore(harness: LeaseHarness) -> None:
    """With both dead nothing moves; restore puts all back, with one line for each thing, in reverse."""
    owner, watchdog = harness.begun(), harness.watchdog()
    for pid in (watchdog, owner):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not lock.is_taken(harness.lock))

    left = harness.restore()

    assert left == []
    assert harness.is_clean
    assert harness.said == [
        "qdisc chaos-up: removed",
        "ifb chaos-up: removed",
        "link eth0: restored to Link(up=True, mtu=1500, gso_max_segs=65535)",
        "sysctl net.ipv4.ip_forward: restored to Sysctl(value='0')",
    ]


def test_a_lease_that_is_not_restored_blocks_a_new_one(harness: LeaseHarness) -> None:
    """A new lease is refused while a dead one is not restored, and says what to type; afterwards it is not."""
    owner, watchdog = harness.begun(), harness.watchdog()
    for pid in (watchdog, owner):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not lock.is_taken(harness.lock))

    with pytest.raises(RefusedError, match=r"on eth0 was not restored.*chaoskit restore"):
        harness.hold(lambda _: None)

    harness.restore()
    harness.hold(lambda _: None)
    assert harness.is_clean


def test_an_owner_whose_watchdog_was_killed_puts_back_itself(harness: LeaseHarness) -> None:
    """Without its watchdog an owner is told so when it renews, and everything is back when it ends."""

    def kill_the_watchdog(held: HeldLease[SimulatedKernel]) -> None:
        os.kill(held.watchdog.process.pid, signal.SIGKILL)
        assert eventually(lambda: not held.watchdog.is_alive)
        held.renew()

    with pytest.raises(RefusedError, match="was killed"):
        harness.hold(kill_the_watchdog)

    assert harness.is_clean


def test_a_mistake_of_ours_in_the_watchdog_is_told_as_one(harness: LeaseHarness) -> None:
    """A watchdog that a mistake ends, here over a message that no owner sends: exit code 70, and everything is back."""

    def crash_the_watchdog(held: HeldLease[SimulatedKernel]) -> None:
        held.watchdog._send("deadline soon")
        assert eventually(lambda: not held.watchdog.is_alive)
        held.renew()

    with pytest.raises(CrashError, match=r"the watchdog ended: ValueError: invalid literal for int.*watchdog_process:"):
        harness.hold(crash_the_watchdog)

    assert harness.is_clean
    assert not lock.is_taken(harness.lock)


def test_a_mistake_in_the_watchdog_is_told_in_the_end_too(harness: LeaseHarness) -> None:
    """Also when the lease is not renewed any more."""
    with pytest.raises(CrashError, match="everything was restored without it"):
        harness.hold(lambda held: held.watchdog._send("deadline soon"))

    assert harness.is_clean


def test_a_watchdog_that_a_mistake_keeps_from_starting_is_told(harness: LeaseHarness) -> None:
    """Nothing was changed, and no lease stands."""

    def opened() -> AbstractContextManager[Kernel]:
        return harness.kernel.opened() if Path("/proc/self/comm").read_text().strip() != NAME else _broken()

    with (
        pytest.raises(CrashError, match="did not start: ZeroDivisionError: one by none"),
        hold_lease(harness.request, opened, harness.leases.state, harness.lock),
    ):
        pass

    assert harness.is_clean
    assert not lock.is_taken(harness.lock)


def _broken() -> NoReturn:
    raise ZeroDivisionError("one by none")


def test_an_owner_does_not_wait_for_a_frozen_watchdog(harness: LeaseHarness) -> None:
    """An owner that has put all back itself ends at once, whether its watchdog can answer or not."""
    stopped: list[float] = []

    def stop(held: HeldLease[SimulatedKernel]) -> None:
        os.kill(held.watchdog.process.pid, signal.SIGSTOP)
        stopped.append(time.monotonic())

    harness.hold(stop)

    assert time.monotonic() - stopped[0] < 1.0

    assert harness.is_clean
    assert not lock.is_taken(harness.lock)


def test_a_signal_to_the_watchdog_ends_the_owner_and_puts_all_back(harnesses: Harnesses) -> None:
    """SIGTERM, SIGINT, SIGHUP or SIGQUIT to the watchdog: it restores, and the owner is killed."""
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        harness = harnesses()
        owner = harness.begun()

        os.kill(harness.watchdog(), sign)

        assert eventually(lambda harness=harness: harness.is_clean), sign  # type: ignore[misc]
        assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == -signal.SIGKILL


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_a_frozen_owner_cannot_outlast_its_lease(harness: LeaseHarness) -> None:
    """SIGSTOP past the lease's end: all is put back, and the owner is dead, so that it cannot come back."""
    harness.request = replace(harness.request, length=SECOND)
    owner = harness.begun()

    os.kill(owner, signal.SIGSTOP)

    assert eventually(lambda: harness.is_clean, 3.0)
    assert eventually(lambda: has_ended(owner))


def test_a_machine_that_stood_still_costs_no_owner(harness: LeaseHarness) -> None:
    """When owner and watchdog have both missed the lease's end, the owner restores itself and ends well, whichever of
    the two continues first."""
    harness.request = replace(harness.request, length=SECOND)
    owner = harness.begun(lambda held: time.sleep(max(0, held.lease.deadline - boottime()) / 1e9))
    watchdog, deadline = harness.watchdog(), harness.lease.deadline
    for pid in (owner, watchdog):
        os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: boottime() > deadline + SECOND // 2)

    for pid in (watchdog, owner):
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.02)

    assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == 0
    assert harness.is_clean


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_an_owner_that_no_longer_renews_is_ended(harness: LeaseHarness) -> None:
    """With a heartbeat the lease ends when that stays away, and not before, however long it is."""
    harness.request = replace(harness.request, heartbeat=SECOND // 2)

    def beat(held: HeldLease[SimulatedKernel]) -> None:
        for _ in range(10):
            held.renew()
            time.sleep(0.1)
        (harness.folder / "beaten").touch()
        sleep()

    owner = harness.begun(beat)
    assert eventually((harness.folder / "beaten").exists)
    was_in_force = harness.kernel.settings == AFTER

    assert eventually(lambda: harness.is_clean, 2.0)
    assert was_in_force
    assert eventually(lambda: has_ended(owner))


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_a_detached_lease_outlives_its_owner_and_ends_by_itself(harness: LeaseHarness) -> None:
    """After detaching the owner ends well, all stays in force under the watchdog's lock, and ends with the lease."""
    harness.request = replace(harness.request, length=SECOND)
    owner = harness.begin(lambda held: held.detach())
    assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == 0
    watchdog, deadline = harness.watchdog(), harness.lease.deadline

    assert harness.kernel.settings == AFTER
    assert lock.holder(harness.lock) == Holder(watchdog, os.geteuid())
    assert eventually(lambda: harness.is_clean, 3.0)
    assert deadline < boottime() < deadline + SECOND
    assert eventually(lambda: has_ended(watchdog))


def test_a_detached_lease_is_ended_by_restore(harness: LeaseHarness) -> None:
    """`chaoskit restore` asks the living watchdog, waits for it, and says what is back."""
    owner = harness.begin(lambda held: held.detach())
    os.waitpid(owner, 0)

    left = harness.restore(harness.lease.id)

    assert left == []
    assert harness.is_clean
    assert len(harness.said) == len(CHANGES)


def test_the_second_is_told_who_was_first(harness: LeaseHarness) -> None:
    """Two at once: the second changes nothing and names the first, its command and what to type."""
    owner = harness.begun()

    with pytest.raises(RefusedError, match=rf"process {owner} \(.*\).*chaoskit status.*chaoskit restore"):
        harness.hold(lambda _: None)

    assert harness.kernel.settings == AFTER


def test_a_foreign_change_is_left_alone_and_the_lease_stays(harness: LeaseHarness) -> None:
    """What another program changed meanwhile keeps their value and is reported; all the rest is back."""

    def meddle(_held: HeldLease[SimulatedKernel]) -> None:
        harness.kernel.fill(harness.kernel.settings | {LINK: Link(True, 9000, 2)})

    with pytest.raises(NotRestoredError, match=r"link eth0: left as it is.*9000.*chaoskit restore"):
        harness.hold(meddle)

    assert harness.kernel.settings == BEFORE | {LINK: Link(True, 9000, 2)}
    assert len(harness.leases.leftovers(harness.lease.id)) == 1


def test_a_watchdog_leftovers_are_told_by_restore(harness: LeaseHarness) -> None:
    """What the watchdog could not put back is said by the restore that asked it, and by every later one."""
    harness.begun()
    harness.kernel.fill(harness.kernel.settings | {LINK: Link(True, 9000, 2)})

    first, second = harness.restore(), harness.restore()

    assert [each.startswith("link eth0: left as it is") for each in (*first, *second)] == [True] * len(first + second)
    assert len(second) == 1
    assert harness.kernel.settings == BEFORE | {LINK: Link(True, 9000, 2)}


def test_a_watchdog_has_nothing_of_its_owner(harness: LeaseHarness) -> None:
    """Its own session, no terminal, no folder, no pipe of the owner's: a reader of the output sees its end."""
    reader, writer = os.pipe()
    owner = harness.begin(lambda held: held.detach())
    os.close(writer)
    os.waitpid(owner, 0)
    watchdog = harness.watchdog()

    assert os.read(reader, 1) == b""
    os.close(reader)
    assert os.getsid(watchdog) == watchdog
    assert Path(f"/proc/{watchdog}/cwd").readlink() == Path("/")
    assert Path(f"/proc/{watchdog}/comm").read_text() == f"{NAME}\n"


def test_a_child_of_the_owner_holds_neither_watchdog_nor_lock(harness: LeaseHarness) -> None:
    """An owner's child that lives on does not keep the watchdog waiting, nor the lock taken."""
    told, tell = os.pipe()

    def have_a_child(_held: HeldLease[SimulatedKernel]) -> None:
        child = os.fork()
        if child == 0:
            sleep()
        os.write(tell, str(child).encode())
        sleep()

    owner = harness.begun(have_a_child)
    harness.pids.append(int(os.read(told, 20)))

    os.kill(owner, signal.SIGKILL)

    assert eventually(lambda: harness.is_clean and not lock.is_taken(harness.lock))
    for each in (told, tell):
        os.close(each)


def test_without_a_watchdog_nothing_is_changed(harness: LeaseHarness) -> None:
    """When the watchdog cannot open the kernel there is no change, no lease and no lock, and its words are told."""

    class Shut:
        """Opens for the owner alone."""

        def __init__(self) -> None:
            self.owner = os.getpid()

        def __call__(self) -> object:
            if os.getpid() != self.owner:
                raise RefusedError("no netlink")
            return harness.kernel.opened()

    with (
        pytest.raises(RefusedError, match=r"the watchdog did not start: no netlink; nothing was changed"),
        hold_lease(harness.request, Shut(), harness.leases.state, harness.lock),  # type: ignore[arg-type]
    ):
        pass

    assert harness.is_clean
    assert not lock.is_taken(harness.lock)


def test_a_lease_says_what_is_in_force(harness: LeaseHarness) -> None:
    """Who, what, where, since and until when, with words that can be given to inject again."""
    harness.request = LeaseRequest("chaoskit inject", "alice", "eth0", 60 * SECOND, {"down": {"delay": "80ms"}})
    seen: list[Lease] = []

    harness.hold(lambda _: seen.append(harness.lease))

    (lease,) = seen
    assert (lease.command, lease.user, lease.interface) == ("chaoskit inject", "alice", "eth0")
    assert lease.injection == {"down": {"delay": "80ms"}}
    assert lease.since < lease.until
    assert lease.owner == Process.of(os.getpid())


def test_a_run_gets_a_copy_of_its_journal(harnesses: Harnesses) -> None:
    """Whether the owner ends well or is killed, its run directory has the whole journal in the end."""
    for ends in (lambda _: None, lambda _: os.kill(os.getpid(), signal.SIGKILL)):
        harness = harnesses()
        run = harness.folder / "run"
        run.mkdir()
        harness.request = replace(harness.request, run=run)

        os.waitpid(harness.begin(ends), 0)

        assert eventually(lambda harness=harness: harness.is_clean and not lock.is_taken(harness.lock))  # type: ignore[misc]
        assert (run / "journal.jsonl").read_bytes().count(b"restored") == len(CHANGES)


def test_an_owner_killed_before_its_first_change_leaves_no_lease(harnesses: Harnesses) -> None:
    """kill -9 at some moment before that: no lease stays, no empty folder, and no watchdog."""
    for at in range(40):
        harness = harnesses()
        owner = harness.begin(lambda _: None, Death(of_watchdog=False, at=1))
        time.sleep(at / 2000)  # moments that no hook can name: before, while and after the watchdog is forked
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)

        assert eventually(lambda harness=harness: harness.is_clean and not lock.is_taken(harness.lock)), at  # type: ignore[misc]


def test_what_no_journal_tells_of_is_taken_away_by_its_name(harness: LeaseHarness) -> None:
    """With the lease's folder gone, what bears our names goes, and each thing is told."""
    harness.kernel.fill(BEFORE | {ROOT: Netem(delay=1)})

    left = harness.restore()

    assert left == []
    assert harness.is_clean
    assert harness.said == ["qdisc chaos-up: removed; it was in no journal"]

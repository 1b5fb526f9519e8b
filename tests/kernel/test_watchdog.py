"""Deaths of owners and watchdogs on a real kernel: leases on a veth, processes killed or frozen, and a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lab import run, state
from simulated_kernel import eventually, has_ended, sleep

from chaoskit.clock import boottime
from chaoskit.conduct.lease_scope import HeldLease, LeaseRequest, hold_lease
from chaoskit.conduct.recovery import Recovery
from chaoskit.engine import lock
from chaoskit.engine.apply_restore import apply, examine
from chaoskit.engine.lease import Leases
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Netem
from chaoskit.topology.steering import Remote, TrafficSelector, steer

SECOND = 10**9
SELECTOR = TrafficSelector((Remote("10.9.9.2/32", 443), Remote("fd09::2/128", 443)), protocol="tcp")
CHANGES = steer("cable", SELECTOR, {"up": Netem(delay=10**7), "down": Netem(delay=2 * 10**7)}, "flower")


@dataclass
class VethNamespace:
    """A namespace with a veth in it, and a state folder."""

    kernel: LinuxKernel
    leases: Leases
    facts: Facts
    request: LeaseRequest
    pids: list[int]

    def look(self) -> str:
        """All that iproute2 and /proc tell, but counters."""
        return state(self.kernel, "here")

    def hold(self, then: Callable[[HeldLease[LinuxKernel]], None]) -> None:
        """Steer, in this process, and do this before all is put back."""
        with hold_lease(self.request, lambda: LinuxKernel(self.facts), self.leases.state) as held:
            examine(held.kernel, CHANGES)
            for change in CHANGES:
                apply(held.kernel, held.journal, change)
            held.begin()
            then(held)

    def begun(self, then: Callable[[HeldLease[LinuxKernel]], None] | None = None) -> int:
        """The pid of an owner with everything in force."""
        told, tell = os.pipe()

        def work(held: HeldLease[LinuxKernel]) -> None:
            os.write(tell, b"!")
            (then or (lambda _: sleep()))(held)

        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                self.hold(work)
                code = 0
            finally:
                os._exit(code)
        os.close(tell)
        self.pids.append(pid)
        assert os.read(told, 1) == b"!"
        os.close(told)
        return pid

    def watchdog(self) -> int:
        """The pid of the only lease's watchdog."""
        (lease,) = self.leases.all().leases
        assert lease.watchdog is not None
        self.pids.append(lease.watchdog.pid)
        return lease.watchdog.pid

    def is_over(self) -> bool:
        """Nobody holds the lock, and no lease stands."""
        return not lock.is_taken() and not list((self.leases.state / "leases").iterdir())

    def restore(self) -> tuple[list[str], list[str]]:
        """What `chaoskit restore` says, and what it could not put back."""
        said: list[str] = []
        recovery = Recovery(self.leases, lambda: LinuxKernel(self.facts), said.append)
        recovery.restore_all()
        return said, recovery.leftovers


@pytest.fixture
def setup(kernel: LinuxKernel, facts: Facts, tmp_path: Path) -> Iterator[VethNamespace]:
    """We are in the namespace `here`, as on a host whose interface is `cable`."""
    request = LeaseRequest("inject", "a test", "cable", 60 * SECOND)
    with kernel.inside("here"):
        for address in ("10.9.9.1/24", "fd09::1/64"):
            run("ip", "address", "add", address, "dev", "cable", *(["nodad"] if ":" in address else []))
        made = VethNamespace(kernel, Leases(tmp_path / "state"), facts, request, [])
        yield made
        with suppress(ValueError):
            made.watchdog()
        for pid in made.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        assert eventually(lambda: not lock.is_taken())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "small", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Not a byte more fits."""
    size = 4096
    with (folder / "filler").open("ab", buffering=0) as file:
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


def test_a_killed_owner_leaves_nothing_within_a_second(setup: VethNamespace) -> None:
    """kill -9 of the owner: less than a second later the namespace is byte for byte what it was."""
    before = setup.look()
    owner = setup.begun()
    assert setup.look() != before

    os.kill(owner, signal.SIGKILL)

    struck = time.monotonic_ns()
    assert eventually(setup.is_over)
    assert time.monotonic_ns() - struck < SECOND
    assert setup.look() == before


def test_the_body_leaves_nothing(setup: VethNamespace) -> None:
    """After a body that ends well all is byte for byte what it was."""
    before = setup.look()

    setup.hold(lambda _: None)

    assert setup.look() == before
    assert setup.is_over()


def test_a_frozen_owner_cannot_come_back(setup: VethNamespace) -> None:
    """SIGSTOP past the lease: all is back, and the owner is dead."""
    before = setup.look()
    setup.request = replace(setup.request, length=6 * SECOND)
    owner = setup.begun()

    os.kill(owner, signal.SIGSTOP)

    assert eventually(setup.is_over)
    assert eventually(lambda: has_ended(owner))
    assert setup.look() == before


def test_a_detached_lease_ends_by_itself(setup: VethNamespace) -> None:
    """The owner detaches and goes; the fault stays until the lease's end, and then nothing of it does."""
    before = setup.look()
    for length in (4 * SECOND, 20 * SECOND):  # one that is long enough for a look
        setup.request = replace(setup.request, length=length)
        owner = setup.begun(lambda held: held.detach())
        assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == 0
        (lease,) = setup.leases.all().leases or (None,)
        holder = lock.holder()
        seen = (holder and holder.pid, "chaos-up" in run("ip", "link"))
        was_in_time = lease is not None and boottime() < lease.deadline

        assert eventually(setup.is_over)

        assert setup.look() == before
        if was_in_time:
            break
    assert lease is not None
    assert lease.watchdog is not None
    assert seen == (lease.watchdog.pid, True)


def test_setting_the_clock_neither_ends_nor_prolongs_a_lease(setup: VethNamespace) -> None:
    """With the date an hour later, or earlier, a lease ends when it would have ended."""
    before = setup.look()
    setup.request = replace(setup.request, length=5 * SECOND)
    for jump in (3600, -3600):
        owner = setup.begun(lambda held: held.detach())
        os.waitpid(owner, 0)
        (lease,) = setup.leases.all().leases
        time.clock_settime(time.CLOCK_REALTIME, time.time() + jump)
        try:
            was_in_force = "chaos-up" in run("ip", "link") or boottime() > lease.deadline
            assert eventually(setup.is_over)
        finally:
            time.clock_settime(time.CLOCK_REALTIME, time.time() - jump)

        assert was_in_force
        assert lease.deadline < boottime() < lease.deadline + 30 * SECOND
        assert setup.look() == before


def test_owner_and_watchdog_killed_is_put_right_by_restore(setup: VethNamespace) -> None:
    """With both dead the fault stays; restore takes it away, and tells each knob."""
    before = setup.look()
    owner, watchdog = setup.begun(), setup.watchdog()
    for pid in (watchdog, owner):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not lock.is_taken())
    assert setup.look() != before

    said, left = setup.restore()

    assert (left, len(said)) == ([], len({knob for knob, _ in CHANGES}))
    assert setup.look() == before


def test_restore_does_not_wait_for_a_frozen_owner(setup: VethNamespace) -> None:
    """SIGSTOP of an owner in the middle of its lease: restore has its watchdog kill it, and tells each knob."""
    before = setup.look()
    owner = setup.begun()
    os.kill(owner, signal.SIGSTOP)

    said, left = setup.restore()

    assert (left, len(said)) == ([], len({knob for knob, _ in CHANGES}))
    assert eventually(lambda: has_ended(owner))
    assert setup.look() == before


def test_without_any_journal_our_things_are_found_by_name(setup: VethNamespace) -> None:
    """With lease and journal gone, restore takes away what bears our names, and says that a clsact stays."""
    before = setup.look()
    owner, watchdog = setup.begun(), setup.watchdog()
    (lease,) = setup.leases.all().leases
    for pid in (watchdog, owner):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not lock.is_taken())
    setup.leases.end(lease.id)

    said, left = setup.restore()

    assert left == []
    assert "the clsact of cable stays" in said[-1]
    run("tc", "qdisc", "del", "dev", "cable", "clsact")
    assert setup.look() == before


def test_a_full_disk_stops_a_lease_before_the_first_change(setup: VethNamespace, small_disk: Path) -> None:
    """Without room for lease or journal nothing is changed, whatever room there is for a part of it."""
    before = setup.look()
    setup.leases = Leases(small_disk)
    filler = small_disk / "filler"
    refused: list[bool] = []
    for room in range(0, 8 * 4096, 4096):
        fill(small_disk)
        os.truncate(filler, filler.stat().st_size - room)
        refusals: list[str] = []
        try:
            setup.hold(lambda _: None)
        except RefusedError as error:
            refusals.append(str(error))
        filler.unlink()

        refused.append(bool(refusals))
        assert all("No space left" in each for each in refusals)
        assert not lock.is_taken()
        assert setup.look() == before
    assert refused == sorted(refused, reverse=True)
    assert (refused[0], refused[-1]) == (True, False)


def test_a_disk_that_fills_up_later_does_not_stop_the_way_back(setup: VethNamespace, small_disk: Path) -> None:
    """Not a byte of room in the state folder: a killed owner is cleaned up after, and the lease ends."""
    before = setup.look()
    setup.leases = Leases(small_disk)
    owner = setup.begun()
    fill(small_disk)

    os.kill(owner, signal.SIGKILL)

    assert eventually(setup.is_over)
    assert setup.look() == before


def test_a_disk_gone_read_only_does_not_stop_the_way_back(setup: VethNamespace, small_disk: Path) -> None:
    """Restore puts all back; the lease stands until it can be removed, and then the next one finds nothing pending."""
    before = setup.look()
    setup.leases = Leases(small_disk)
    owner, watchdog = setup.begun(), setup.watchdog()
    for pid in (watchdog, owner):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: has_ended(owner) and not lock.is_taken())
    run("mount", "-o", "remount,ro", str(small_disk))

    assert setup.restore()[1] == []

    assert setup.look() == before
    run("mount", "-o", "remount,rw", str(small_disk))
    assert setup.restore()[1] == []
    assert setup.is_over()


def test_an_interface_that_is_removed_leaves_nothing_pending(setup: VethNamespace) -> None:
    """When the link is removed under a lease, what hung on it went with it, and our own things go."""
    owner = setup.begun()
    run("ip", "link", "del", "cable")

    os.kill(owner, signal.SIGKILL)

    assert eventually(setup.is_over)
    assert "chaos" not in run("ip", "link")


def test_two_at_once_are_told_apart(setup: VethNamespace) -> None:
    """The second is refused and names the first; in another network namespace there is no first."""
    owner = setup.begun()

    with pytest.raises(RefusedError, match=f"process {owner} "):
        setup.hold(lambda _: None)

    elsewhere = namespaces.create()
    with namespaces.inside(elsewhere):
        assert not lock.is_taken()
    os.close(elsewhere)


def test_what_others_left_under_our_names_is_refused_first(setup: VethNamespace) -> None:
    """An ifb of our name that is there already stops everything before the first change."""
    run("ip", "link", "add", "chaos-up", "type", "ifb")
    before = setup.look()

    with pytest.raises(RefusedError, match=r"chaos-up already exists.*chaoskit restore"):
        setup.hold(lambda _: None)

    assert setup.look() == before


ALONE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "setpriv", "--bounding-set=-all,+net_admin")
"""Starts a command as a container does: its own PID namespace, root's number, and of its rights NET_ADMIN alone."""
COMMAND = (*ALONE, "--inh-caps=-all", "--no-new-privs", sys.executable, "-P", "-m", "chaoskit")
INJECTION = ("inject", "--to", "10.9.9.2:443", "--up", "delay 20ms", "--down", "delay 30ms", "--for", "10min")


@contextmanager
def contained(state: Path, *words: str, until: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a container of its own that shares this network namespace, once it has said `until`."""
    environment = os.environ | {"CHAOSKIT_STATE": str(state)}
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, env=environment, text=True) as started:
        try:
            assert started.stdout is not None
            assert any(until in line for line in started.stdout)
            yield started
        finally:
            kill_container(started)


def kill_container(started: subprocess.Popen[str]) -> None:
    """SIGKILL of its first process: the kernel kills all others in its PID namespace, whatever their session."""
    with suppress(ProcessLookupError):
        for pid in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def test_a_container_that_is_killed_whole_is_put_right_by_a_watch_in_another(
    setup: VethNamespace,
) -> None:
    """Owner and watchdog die at once, and the network namespace stays, as in a pod. The watch beside them leaves a
    running injection alone, as `restore` does there, and restores a killed one."""
    before, state = setup.look(), setup.leases.state
    with contained(state, "restore", "--watch", until="watching") as _:
        with contained(state, *INJECTION, until="in force until") as injection:
            changed = setup.look()
            time.sleep(3)
            assert setup.look() == changed != before
            words, environment = [*COMMAND, "restore"], os.environ | {"CHAOSKIT_STATE": str(state)}
            refused = subprocess.run(words, env=environment, capture_output=True, text=True)
            assert refused.returncode == 3, refused.stdout
            assert "another chaoskit works in this network namespace, in another container" in refused.stderr
            kill_container(injection)

        assert eventually(lambda: "chaos-" not in run("ip", "link") and not lock.is_taken())

    assert setup.look() == before
